//! A camera that answered a search.

/// A camera that answered a search.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Maker and model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Its address in the network, empty for USB3 Vision.
    pub address: String,
    /// `GigEVision` or `USB3Vision`.
    pub protocol: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { model, serial, address, protocol } = self;
        write!(f, "{model}, serial {serial}")?;
        if address.is_empty() { write!(f, " ({protocol})") } else { write!(f, ", at {address} ({protocol})") }
    }
}
