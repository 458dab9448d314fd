//! The stream of events.

use crate::rig::{CHILDREN, Rig, exchange, serve, serve_rig};
use hyclus::client::{ClientError, EventStream, Notice};
use hyclus::scan::{EventKind, StateName};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

async fn next(stream: &mut EventStream) -> (Option<u64>, String) {
    match stream.next().await.unwrap() {
        Notice::Lagged(missed) => (missed, "lagged".to_owned()),
        Notice::Event(event) => match event.kind {
            EventKind::Warning { message } => (Some(event.id), message),
            kind => (Some(event.id), format!("{kind:?}")),
        },
    }
}

fn seen(id: u64, message: &str) -> (Option<u64>, String) {
    (Some(id), message.to_owned())
}

#[tokio::test]
async fn on_the_wire_an_event_has_a_number_a_name_and_data() {
    let served = serve();
    served.rig.warn("one");
    served.rig.happens(EventKind::State { state: StateName::Idle, cause: None });
    let path = served.path.clone();
    let text = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nlast-event-id: 1\r\n\r\n").unwrap();
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while !text.contains("idle") {
            let n = stream.read(&mut bytes).unwrap();
            assert_ne!(n, 0, "{text}");
            text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        }
        text
    });
    let text = text.await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("content-type: text/event-stream\r\n"), "{text}");
    assert!(text.contains("id: 2\nevent: state\ndata: {"), "{text}");
    assert!(!text.contains("id: 1"), "{text}");
}

#[tokio::test]
async fn held_events_come_first_and_then_those_to_come() {
    let served = serve();
    served.rig.warn("one");
    let mut stream = served.client().await.events(None).await.unwrap();
    assert_eq!(next(&mut stream).await, seen(1, "one"));
    served.rig.warn("two\nlines");
    assert_eq!(next(&mut stream).await, seen(2, "two\nlines"));
    let mut later = served.client().await.events(Some(1)).await.unwrap();
    assert_eq!(next(&mut later).await, seen(2, "two\nlines"));
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_when_the_service_comes_back() {
    let _no_child = CHILDREN.read().await;
    let mut served = serve();
    served.rig.warn("one");
    let mut stream = served.client().await.events(None).await.unwrap();
    assert_eq!(next(&mut stream).await, seen(1, "one"));
    served.end().await;
    served.rig.warn("two");
    served.begin_again();
    assert_eq!(next(&mut stream).await, seen(2, "two"));
    assert_eq!(stream.last(), Some(2));
}

#[tokio::test]
async fn a_stream_ends_with_an_error_when_the_service_stays_away() {
    let _no_child = CHILDREN.read().await;
    let mut served = serve();
    served.rig.warn("one");
    let mut stream = served.client().await.events(Some(1)).await.unwrap();
    stream.set_attempts(1);
    served.end().await;
    let error = stream.next().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[tokio::test]
async fn who_comes_too_late_is_told_how_much_is_gone() {
    let served = serve_rig(Rig::with_room(3));
    (1..=10).for_each(|i| served.rig.warn(&i.to_string()));
    let mut stream = served.client().await.events(Some(4)).await.unwrap();
    assert_eq!(next(&mut stream).await, seen(3, "lagged"));
    assert_eq!(next(&mut stream).await, seen(8, "8"));
}

// One thread: while events come in a burst, the service cannot take them from the channel.
#[tokio::test]
async fn who_is_too_slow_gets_what_is_held_and_is_told_of_the_rest() {
    let served = serve_rig(Rig::with_room(4));
    served.rig.warn("first");
    let mut stream = served.client().await.events(None).await.unwrap();
    assert_eq!(next(&mut stream).await, seen(1, "first"));
    (2..=100).for_each(|i| served.rig.warn(&i.to_string()));
    assert_eq!(next(&mut stream).await, seen(95, "lagged"));
    for id in 97..=100 {
        assert_eq!(next(&mut stream).await, seen(id, &id.to_string()));
    }
    served.rig.warn("after");
    assert_eq!(next(&mut stream).await, seen(101, "after"));
}

#[tokio::test]
async fn numbers_of_an_earlier_run_begin_anew() {
    let served = serve();
    served.rig.warn("one");
    let mut stream = served.client().await.events(Some(5000)).await.unwrap();
    assert_eq!(next(&mut stream).await, (None, "lagged".to_owned()));
    assert_eq!(next(&mut stream).await, seen(1, "one"));
    served.rig.warn("two");
    assert_eq!(next(&mut stream).await, seen(2, "two"));
}

#[tokio::test]
async fn a_number_that_is_none_is_refused() {
    let served = serve();
    for last in ["x", "-1", ""] {
        let stream = UnixStream::connect(&served.path).unwrap();
        let request = format!("GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlast-event-id: {last}\r\n\r\n");
        let text = exchange(stream, request).await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains("Last-Event-ID must be"), "{text}");
    }
}
