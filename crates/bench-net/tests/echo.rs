//! The load generator against the bare servers: what a measurement stands on, and that the load
//! generator notices a server that does not do its work.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const BENCH_NET: &str = env!("CARGO_BIN_EXE_bench-net");

/// A bare server, killed when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn at(address: &str, more: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(BENCH_NET);
        command.args(["serve", "--at", address]).args(more).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn load(address: &str, more: &[&str]) -> Outcome<Output> {
    let short = ["load", "--to", address, "--warm-up", "0.01", "--seconds", "0.05"];
    Ok(Command::new(BENCH_NET).args(short).args(more).output()?)
}

/// The number behind `"name": ` in what the load generator printed.
fn figure(output: &Output, name: &str) -> Outcome<f64> {
    let text = String::from_utf8(output.stdout.clone())?;
    let (_, rest) =
        text.split_once(&format!("\"{name}\": ")).ok_or(format!("no {name}: {text}"))?;
    Ok(rest.split([',', '}']).next().unwrap_or("").parse()?)
}

/// Loads the server, which must answer everything, and must be seen to use CPU for it.
fn must_serve(server: &Server, more: &[&str]) -> Outcome {
    let pid = server.process.id().to_string();
    let output = load(&server.address, &[more, &["--watch", &pid]].concat())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(figure(&output, "requests")? >= 1.0);
    assert!(figure(&output, "server_cpu_s")? > 0.0);
    assert!(figure(&output, "lost")? == 0.0);
    Ok(())
}

fn temporary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn small_and_large_messages_come_back_over_tcp() -> Outcome {
    let server = Server::at("tcp:127.0.0.1:0", &[])?;
    must_serve(&server, &["--connections", "100", "--size", "1024"])?;
    must_serve(&server, &["--connections", "3", "--size", "3000000"])
}

#[test]
fn messages_come_back_over_unix_sockets() -> Outcome {
    let path = temporary("echo-socket");
    let _ = std::fs::remove_file(&path);
    let server = Server::at(&format!("unix:{}", path.display()), &[])?;
    must_serve(&server, &["--connections", "10", "--size", "102400"])
}

#[test]
fn datagrams_come_back() -> Outcome {
    let server = Server::at("udp:127.0.0.1:0", &[])?;
    must_serve(&server, &["--connections", "10", "--size", "64"])
}

#[test]
fn each_request_of_churn_has_its_own_connection() -> Outcome {
    let server = Server::at("tcp:127.0.0.1:0", &[])?;
    must_serve(&server, &["--connections", "10", "--size", "1024", "--churn"])
}

#[test]
fn a_file_comes_whole_for_every_request() -> Outcome {
    let path = temporary("served-file");
    std::fs::write(&path, (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>())?;
    let path = path.display().to_string();
    let server = Server::at("tcp:127.0.0.1:0", &["--file", &path])?;
    must_serve(&server, &["--connections", "2", "--size", "64", "--reply", &path])
}

#[test]
fn children_are_started_and_waited_for() -> Outcome {
    let some = ["--program", "/bin/true", "--at-once", "2", "--seconds", "0.01"];
    for piped in [&[][..], &["--piped"]] {
        let output = Command::new(BENCH_NET).arg("spawn").args(some).args(piped).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(figure(&output, "requests")? >= 2.0);
    }
    Ok(())
}

/// What the load generator says of a TCP server that does `answer` with the first request.
fn complaint_about(answer: fn(&mut Vec<u8>)) -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("tcp:{}", listener.local_addr()?);
    let server = thread::spawn(move || -> std::io::Result<()> {
        let (mut connection, _) = listener.accept()?;
        let mut bytes = vec![0; 64];
        connection.read_exact(&mut bytes)?;
        answer(&mut bytes);
        connection.write_all(&bytes)
    });
    let output = load(&address, &["--connections", "1", "--size", "64"])?;
    assert!(!output.status.success());
    server.join().map_err(|_| "the server panicked")??;
    Ok(String::from_utf8(output.stderr)?)
}

#[test]
fn one_wrong_bit_is_noticed() -> Outcome {
    let complaint = complaint_about(|bytes| bytes[63] ^= 1)?;
    assert!(complaint.contains("the reply is not what was sent"), "{complaint}");
    Ok(())
}

#[test]
fn a_byte_too_many_is_noticed() -> Outcome {
    let complaint = complaint_about(|bytes| bytes.push(0))?;
    assert!(complaint.contains("65 bytes came where 64 were due"), "{complaint}");
    Ok(())
}

#[test]
fn a_reply_cut_short_is_noticed() -> Outcome {
    let complaint = complaint_about(|bytes| bytes.truncate(60))?;
    assert!(complaint.contains("closed with 4 bytes of a reply to come"), "{complaint}");
    Ok(())
}

#[test]
fn a_lost_datagram_is_counted_and_sent_again() -> Outcome {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let address = format!("udp:{}", server.local_addr()?);
    // One request warms up, the next is the first that is measured. The thread ends with the tests.
    thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = [0; 64];
        for number in 0.. {
            let (count, peer) = server.recv_from(&mut buffer)?;
            if number != 1 {
                server.send_to(&buffer[..count], peer)?;
            }
        }
        Ok(())
    });
    let output = load(&address, &["--connections", "1", "--size", "64", "--warm-up", "0"])?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!((figure(&output, "lost")? - 1.0).abs() < f64::EPSILON);
    Ok(())
}
