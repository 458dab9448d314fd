//! The metrics of the shipper, and the page that has them.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use prometheus::{Encoder, Gauge, IntCounter, IntGauge, Opts, Registry, TextEncoder};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The metrics of the shipper.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) scans: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) removed_scans: IntCounter,
    pub(crate) backlog_scans: IntGauge,
    pub(crate) backlog_bytes: IntGauge,
    pub(crate) failed_scans: IntGauge,
    pub(crate) reachable: IntGauge,
    pub(crate) waiting: IntGauge,
    pub(crate) bytes_per_s: Gauge,
    pub(crate) backlog_seconds: Gauge,
    pub(crate) disk_seconds: Gauge,
    pub(crate) behind: IntGauge,
}

impl Metrics {
    /// Makes all metrics.
    ///
    /// # Errors
    /// A name is wrong or used twice.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let whole = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let number = |name: &str, help: &str| -> Result<Gauge, prometheus::Error> {
            let gauge = Gauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            scans: counter("hyclus_ship_scans_total", "Scans and later revisions of them that were shipped")?,
            bytes: counter("hyclus_ship_bytes_total", "Bytes that were put into the archive or read back from it")?,
            removed_scans: counter(
                "hyclus_ship_removed_scans_total",
                "Scans whose local files were removed after they were proved to be archived",
            )?,
            backlog_scans: whole("hyclus_ship_backlog_scans", "Ended scans that the archive lacks")?,
            backlog_bytes: whole("hyclus_ship_backlog_bytes", "Size of these scans, bytes")?,
            failed_scans: whole("hyclus_ship_failed_scans", "Scans that cannot be shipped as they are")?,
            reachable: whole("hyclus_ship_archive_reachable", "Whether the archive took the last request: 1 or 0")?,
            waiting: whole("hyclus_ship_waiting", "Whether shipping waits because the rig works: 1 or 0")?,
            bytes_per_s: number("hyclus_ship_bytes_per_second", "Rate of the last transfers, bytes per second")?,
            backlog_seconds: number("hyclus_ship_backlog_seconds", "Time that the backlog needs at that rate, s")?,
            disk_seconds: number("hyclus_ship_disk_seconds", "Time until the disk is full at the rate of the last day, s")?,
            behind: whole("hyclus_ship_behind", "Whether the disk fills up sooner than the backlog is shipped: 1 or 0")?,
            registry,
        })
    }

    /// All metrics in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "the metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// Serves `/metrics` on an address, in the background. Gives the address with its port.
    ///
    /// # Errors
    /// The address is in use, or not of this machine.
    pub(crate) async fn serve(&self, listen: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let metrics = Arc::new(self.clone());
        let page = move || {
            let metrics = Arc::clone(&metrics);
            async move { ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.render()) }
        };
        let router = Router::new().route("/metrics", get(page));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the page of the metrics ended");
            }
        });
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_name() {
        let metrics = Metrics::new().unwrap();
        metrics.scans.inc();
        let text = metrics.render();
        assert!(text.contains("hyclus_ship_scans_total 1\n"), "{text}");
        assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| line.starts_with("hyclus_ship_")));
    }
}
