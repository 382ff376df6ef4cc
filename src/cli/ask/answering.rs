//! A server for the tests of whoever asks.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

/// Answers one connection and closes it; when dropped, it makes sure of what was asked.
pub(in crate::cli) struct Answering {
    server: String,
    thread: Option<JoinHandle<String>>,
    target: &'static str,
}

impl Answering {
    /// Answers the question for `target` with these bytes.
    pub(in crate::cli) fn once(target: &'static str, answer: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        Self { server, thread: Some(thread), target }
    }

    /// For `--server`.
    pub(in crate::cli) fn server(&self) -> String {
        self.server.clone()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let request = self.thread.take().unwrap().join().unwrap();
        assert!(request.starts_with(&format!("GET {} HTTP/1.1\r\n", self.target)), "{request}");
    }
}
