//! Every protocol passes the suite of the contract.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::Light;
use light_serial::{Controllers, Protocol};
use peer::Peer;

const PROTOCOLS: [Protocol; 4] = [Protocol::Gardasoft, Protocol::Ccs, Protocol::Scpi, Protocol::Relay];

#[tokio::test]
async fn over_a_serial_line() {
    for protocol in PROTOCOLS {
        let peer = Peer::serial(protocol);
        let light = Controllers::new().open("halogen", &peer.config()).unwrap();
        contract::conformance::light(&light).await;
        let link = light.link();
        assert!(link.requests > 5 && link.timeouts + link.garbled + link.exceptions == 0, "{protocol:?}: {link:?}");
    }
}

#[tokio::test]
async fn over_tcp() {
    for protocol in [Protocol::Gardasoft, Protocol::Scpi] {
        let peer = Peer::tcp(protocol);
        contract::conformance::light(&Controllers::new().open("led", &peer.config()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_relay_that_does_not_answer() {
    let peer = Peer::serial(Protocol::Relay);
    let config = light_serial::Config { answers: false, ..peer.config() };
    contract::conformance::light(&Controllers::new().open("halogen", &config).unwrap()).await;
    assert!(!peer.heard().contains(&"\\xff".to_owned()), "it was never asked");
}

#[tokio::test]
async fn what_is_said_on_the_wire() {
    let said = async |protocol, level| {
        let peer = Peer::serial(protocol);
        let light = Controllers::new().open("led", &peer.config()).unwrap();
        assert!(light.describe().model.len() > 3);
        let opened = peer.heard();
        light.set(level).await.unwrap();
        drop(light);
        (opened, peer.heard())
    };
    let (opened, heard) = said(Protocol::Gardasoft, 0.5).await;
    assert_eq!(opened, ["VR\\r", "RS1,0.0\\r", "ST1\\r"], "the version before all else, then the safe level");
    assert_eq!(heard, ["RS1,50.0\\r", "ST1\\r", "RS1,0.0\\r", "ST1\\r"], "and the safe level at the end");
    let (opened, heard) = said(Protocol::Ccs, 1.0).await;
    // 0x40 + 0x30 + 0x31 + 0x4D + 0x52 = 0x140.
    assert_eq!(opened[0], "@01MR40\\r\\n");
    assert_eq!(heard[..2], ["@01F255WDA\\r\\n", "@01L1W75\\r\\n"]);
    let (opened, heard) = said(Protocol::Scpi, 0.5).await;
    assert_eq!(opened[..3], ["*IDN?\\n", "*CLS\\n", "OUTP OFF\\n"]);
    assert_eq!(heard[..3], ["VOLT 6.000\\n", "OUTP ON\\n", "SYST:ERR?\\n"]);
    let (_, heard) = said(Protocol::Relay, 1.0).await;
    assert_eq!(heard[0], "\\xa0\\x01\\x01\\xa2");
}

#[tokio::test]
async fn two_channels_share_a_controller_and_the_same_channel_is_refused() {
    let peer = Peer::serial(Protocol::Gardasoft);
    let mut controllers = Controllers::new();
    let one = controllers.open("one", &peer.config()).unwrap();
    let two = controllers.open("two", &light_serial::Config { channel: 2, ..peer.config() }).unwrap();
    one.set(0.25).await.unwrap();
    two.set(0.75).await.unwrap();
    assert_eq!((one.state().await.unwrap().level, two.state().await.unwrap().level), (0.25, 0.75));
    let error = controllers.open("three", &peer.config()).err().unwrap().to_string();
    assert!(error.contains("same channel"), "{error}");
}
