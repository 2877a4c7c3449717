//! A wait that a signal interrupts. Alone in its process, because stopping it interrupts every wait
//! in there: epoll_wait fails with EINTR after SIGCONT even where no handler is installed (signal(7)).

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use ferrio_core::reactor::{Events, Interests, Poller, Timeout};

/// Waits until all our threads sleep, stops us, waits until we are stopped, continues us; nine times,
/// lest a thread slept for another reason. Its end closes our pipe.
const STOP_AND_CONTINUE: &str = "
for i in 1 2 3 4 5 6 7 8 9; do
    while grep -h '^State:' /proc/$1/task/*/status | grep -qv sleeping; do :; done
    kill -STOP $1
    while grep -h '^State:' /proc/$1/task/*/status | grep -qv stopped; do :; done
    kill -CONT $1
done";

#[test]
fn a_signal_ends_the_wait_with_interrupted_and_no_events() {
    let poller = Poller::new().expect("descriptors are to be had");
    let mut events = Events::new();
    let mut interests = Interests::new();
    let mut child = Command::new("sh")
        .args(["-c", STOP_AND_CONTINUE, "sh", &std::process::id().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let stdout = child.stdout.take().expect("it was piped");
    assert!(interests.set_reader(&poller, stdout.as_fd(), ()).is_ok());

    let mut interruptions = 0;
    while let Err(error) = poller.wait(&mut events, Timeout::Forever) {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(events.is_empty());
        interruptions += 1;
    }
    assert!(interruptions > 0);
    assert_eq!(events.len(), 1);
    assert!(child.wait().is_ok_and(|status| status.success()));
}
