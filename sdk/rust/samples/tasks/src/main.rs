//! Two asynchronous tasks on `embassy-executor`: one waits for the network and fetches a page by HTTP, the other counts
//! meanwhile. The processor sleeps while both wait.

#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_executor::raw::Executor;
use openvisor_app::http::{Exchange, Request};
use openvisor_app::sys::MV_HTTPRESULT_OK;
use openvisor_app::{Buffers, Network, Result, clock, log_line, logging};

openvisor_app::centre!(static EVENTS on TIM8_BRK);
openvisor_app::entry!(main);

static BUFFERS: Buffers<4096, 1024> = Buffers::new();
const URL: &str = "https://example.com/";
const COUNT: u32 = 3;

/// What a waker of the executor does, in an interrupt or outside: ends the sleep.
#[unsafe(no_mangle)]
extern "Rust" fn __pender(_: *mut ()) {
    clock::wake();
}

fn main() -> ! {
    logging::start();
    clock::start();
    let executor = Executor::new(core::ptr::null_mut());
    // SAFETY: `main` never returns, so the executor lives for ever.
    let executor: &'static Executor = unsafe { &*core::ptr::from_ref(&executor) };
    start(executor.spawner());
    loop {
        // SAFETY: called here only, and not from a task.
        unsafe { executor.poll() };
        clock::idle();
    }
}

fn start(spawner: Spawner) {
    for spawned in [spawner.spawn(fetch()), spawner.spawn(count())] {
        if spawned.is_err() {
            log_line!("tasks: a task runs already");
        }
    }
}

#[embassy_executor::task]
async fn count() {
    for number in 1..=COUNT {
        clock::after(1000).await;
        log_line!("tasks: {number} s");
    }
    log_line!("tasks: done");
}

#[embassy_executor::task]
async fn fetch() {
    // Kept for ever: without a network the log would stay in its buffer.
    let network = match Network::request(&EVENTS) {
        Ok(network) => network,
        Err(status) => return log_line!("tasks: no network, {status}"),
    };
    if let Err(status) = get(&network).await {
        log_line!("tasks: {status}");
    }
    core::future::pending::<()>().await;
}

async fn get(network: &Network) -> Result<()> {
    network.connected().await?;
    let exchange = Exchange::open(network, &EVENTS, &BUFFERS)?;
    exchange.send(&Request::get(URL))?;
    if !exchange.channel().readable().await {
        log_line!("tasks: lost, {}", exchange.channel().closure_reason()?.name());
        return Ok(());
    }
    let response = exchange.response()?;
    log_line!(
        "tasks: {}, status {}, {} bytes",
        response.result.name(),
        response.status_code,
        response.body_length
    );
    if response.result != MV_HTTPRESULT_OK {
        return Ok(());
    }
    let mut line = [0; 64];
    for index in 0..response.num_headers {
        let header = exchange.header(index, &mut line)?;
        log_line!("tasks: {}", core::str::from_utf8(header).unwrap_or("(no text)"));
    }
    let mut body = [0; 16];
    exchange.body(0, &mut body)?;
    log_line!("tasks: {}", core::str::from_utf8(&body).unwrap_or("(no text)"));
    Ok(())
}
