//! The limits of this machine's network, and the commands that raise them.

use nix::ifaddrs::getifaddrs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;

/// A network interface with one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth1`.
    pub name: String,
    /// Its own address.
    pub address: Ipv4Addr,
    /// The mask of its network.
    pub mask: Ipv4Addr,
}

impl Interface {
    /// Whether `address` lies in its network.
    pub fn reaches(&self, address: Ipv4Addr) -> bool {
        let mask = u32::from(self.mask);
        u32::from(address) & mask == u32::from(self.address) & mask
    }

    /// Every interface with an IPv4 address.
    fn all() -> Vec<Self> {
        let ipv4 = |address: Option<nix::sys::socket::SockaddrStorage>| Some(address?.as_sockaddr_in()?.ip());
        let found = getifaddrs().into_iter().flatten();
        found.filter_map(|one| Some(Self { address: ipv4(one.address)?, mask: ipv4(one.netmask)?, name: one.interface_name })).collect()
    }

    /// The interface of this name, or with this address.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|one| one.name == name || Ok(one.address) == name.parse())
    }

    /// The interface towards `address`. Nothing is sent.
    pub fn towards(address: Ipv4Addr) -> Option<Self> {
        let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(SocketAddrV4::new(address, 3956)).ok()?;
        let own = socket.local_addr().ok()?.ip();
        let all = Self::all();
        // Every address of the loopback network is local, also one that the interface does not list.
        all.iter().find(|one| one.address == own).or_else(|| all.iter().find(|one| one.reaches(address))).cloned()
    }

    /// Its largest packet, bytes.
    pub fn mtu(&self) -> Option<u32> {
        std::fs::read_to_string(Path::new("/sys/class/net").join(&self.name).join("mtu")).ok()?.trim().parse().ok()
    }
}

/// The largest packet size without a configured one, bytes. Cameras and switches have such jumbo frames.
const JUMBO: u32 = 9000;

/// The size of packets, bytes, through an interface of this MTU. The error is the problem of the configured size.
pub fn packet_size(asked: Option<u32>, mtu: u32, interface: &str) -> Result<u32, String> {
    match asked {
        Some(asked) if asked > mtu => {
            Err(format!("interface {interface} takes packets of {mtu} bytes at most: as root, `ip link set dev {interface} mtu {asked}`"))
        }
        Some(asked) => Ok(asked),
        // Cameras want a multiple of four.
        None => Ok(mtu.min(JUMBO) / 4 * 4),
    }
}

/// Checks a socket buffer of `wanted_kib` on a machine that allows `allowed` bytes. The error is the problem.
pub fn socket_buffer(wanted_kib: u32, allowed: u64) -> Result<(), String> {
    let wanted = u64::from(wanted_kib) * 1024;
    if wanted <= allowed {
        return Ok(());
    }
    Err(format!(
        "the kernel allows {allowed} bytes: as root, `sysctl -w net.core.rmem_max={wanted}`, and for good with the file systemd/90-hyclus.conf in /etc/sysctl.d"
    ))
}

/// The largest socket buffer that the kernel allows, bytes.
pub fn largest_socket_buffer() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_does_not_take_is_told_with_the_command() {
        assert_eq!(packet_size(None, 1500, "eth1"), Ok(1500));
        assert_eq!(packet_size(None, 65_536, "lo"), Ok(9000));
        assert_eq!(packet_size(Some(9000), 9000, "eth1"), Ok(9000));
        let refused = packet_size(Some(9000), 1500, "eth1").unwrap_err();
        assert!(refused.contains("`ip link set dev eth1 mtu 9000`"), "{refused}");
        assert_eq!(socket_buffer(208, 212_992), Ok(()));
        let refused = socket_buffer(8192, 212_992).unwrap_err();
        assert!(refused.contains("`sysctl -w net.core.rmem_max=8388608`"), "{refused}");
    }

    #[test]
    fn the_loopback_interface_is_found_by_each_of_its_names() {
        let lo = Interface::named("lo").unwrap();
        assert_eq!(Some(&lo), Interface::named("127.0.0.1").as_ref());
        assert_eq!(Interface::towards(Ipv4Addr::LOCALHOST).map(|one| one.name), Some("lo".into()));
        assert!(lo.reaches(Ipv4Addr::new(127, 3, 2, 1)) && !lo.reaches(Ipv4Addr::new(10, 0, 0, 1)));
        assert!(lo.mtu().is_some_and(|mtu| mtu >= 1500) && largest_socket_buffer().is_some());
        assert_eq!(Interface::named("no-such-interface"), None);
    }
}
