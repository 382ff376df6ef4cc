//! The API server's port on every node: what comes to 6443 there goes to the one API server. It
//! stands in for the API server that each control-plane node of a real cluster has.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use viplet_lab::Namespace;

/// Listens on `port` of all addresses of `namespace`, for as long as this process runs.
pub(crate) fn start(namespace: &Namespace, port: u16, server: SocketAddr) {
    namespace.run(move || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port is free");
        // A thread inherits the namespace of the one that starts it.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || pass(client, server));
            }
        });
    });
}

fn pass(client: TcpStream, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(from, to));
    copy(server, client);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
