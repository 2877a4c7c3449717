//! Black-box tests of the ready queue; relies on nothing but its public face.

use ferrio_core::ready::Ready;

#[test]
fn items_leave_in_the_order_in_which_they_came() {
    let mut ready = Ready::new();
    for item in 0..5 {
        ready.push(item);
    }
    assert_eq!(ready.len(), 5);
    assert_eq!(ready.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let popped: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
    assert_eq!(popped, [0, 1, 2, 3, 4]);
    assert!(ready.is_empty());
}

#[test]
fn a_new_queue_is_empty() {
    let mut ready = Ready::<u8>::default();
    assert!(ready.is_empty());
    assert_eq!(ready.len(), 0);
    assert_eq!(ready.pop(), None);
}

#[test]
fn a_turn_leaves_what_its_own_items_queue_to_the_next_turn() {
    let mut ready = Ready::new();
    ready.push("a");
    ready.push("b");
    let mut turns = Vec::new();
    for _ in 0..2 {
        let mut ran = Vec::new();
        for _ in 0..ready.len() {
            let item = ready.pop().expect("nothing else pops");
            ran.push(item);
            ready.push(item);
        }
        turns.push(ran);
    }
    assert_eq!(turns, [["a", "b"], ["a", "b"]]);
    assert_eq!(ready.len(), 2);
}

#[test]
fn take_all_empties_the_queue_without_dropping_an_item() {
    let witness = std::rc::Rc::new(());
    let mut ready = Ready::new();
    for _ in 0..3 {
        ready.push(witness.clone());
    }
    let items = ready.take_all();
    assert!(ready.is_empty());
    assert_eq!(std::rc::Rc::strong_count(&witness), 4);
    assert_eq!(items.len(), 3);
}

#[test]
fn dropping_the_queue_drops_each_item() {
    let witness = std::rc::Rc::new(());
    let mut ready = Ready::new();
    for _ in 0..3 {
        ready.push(witness.clone());
    }
    drop(ready.pop());
    drop(ready);
    assert_eq!(std::rc::Rc::strong_count(&witness), 1);
}

#[test]
fn the_queue_works_on_after_take_all() {
    let mut ready = Ready::new();
    ready.push(1);
    assert_eq!(ready.take_all().pop(), Some(1));
    ready.push(2);
    assert_eq!(ready.iter().collect::<Vec<_>>(), [&2]);
    assert_eq!(ready.pop(), Some(2));
}

#[test]
fn peek_shows_what_later_pops_give() {
    let mut ready = Ready::new();
    for item in 0..3 {
        ready.push(item);
    }
    assert_eq!((ready.peek(0), ready.peek(2), ready.peek(3)), (Some(&0), Some(&2), None));
    assert_eq!(ready.pop(), Some(0));
    assert_eq!(ready.peek(1), Some(&2));
}
