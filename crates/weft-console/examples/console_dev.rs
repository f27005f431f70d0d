//! The console over made-up events, for working on the pages: `WEFT_TOKEN=dev cargo run -p weft-console --example console_dev`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a tool for working on the pages, never shipped")]

#[path = "../tests/it/fake.rs"]
mod fake;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use weft_console::{Console, ConsoleConfig, LoginKeys, TailEvent};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let fake = Arc::new(fake::Fake::new(now_ms(), 4_000));
    let keys = LoginKeys::with_token(std::env::var("WEFT_TOKEN").unwrap_or_else(|_| "dev".to_owned()));
    let link = keys.login_path();
    let console = Console::new(
        Arc::clone(&fake) as _,
        ConsoleConfig {
            version: "0.1.0-dev".to_owned(),
            keys,
            secure_cookie: false,
            sessions: Arc::<weft_console::MemorySessions>::default(),
            beside: serde_json::Value::Null,
        },
    );
    tokio::spawn(async move {
        for n in 1_000_000.. {
            tokio::time::sleep(Duration::from_millis(150 + n % 7 * 40)).await;
            let now = now_ms();
            let _no_reader = fake.sender.send(TailEvent { received_ms: now, event: Arc::new(fake::event(n, now)) });
        }
    });
    let listener = tokio::net::TcpListener::bind(std::env::var("WEFT_LISTEN").unwrap_or_else(|_| "127.0.0.1:8711".to_owned())).await?;
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("http://{}{link}\n", listener.local_addr()?).as_bytes())?;
    axum::serve(listener, console.router()).await
}
