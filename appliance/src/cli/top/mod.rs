//! `assent top`: the running appliance on a terminal, read again and again.
//!
//! The rule it keeps: what is not known is never drawn as if it were. Without an answer it says since when, in red, and goes
//! on asking; rates are of two readings, and there are none behind a restart. It asks over the control socket what `assent
//! status` asks, changes nothing, and gives the terminal back on every way out, a panic included.

mod picture;
mod readings;
mod screen;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};

use self::readings::Readings;
use self::screen::Screen;
use super::output::{chain, is_coloured};
use super::{Exit, Globals};
use crate::clock::Clock;
use crate::config::{Config, duration};
use crate::control;
use crate::serving::status::Status;

/// What can happen while it waits; the next reading and the next key wait in turn.
const MAX_HEARD: usize = 16;
/// How often the ages on the screen are drawn anew while nothing else happens.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// How often the appliance is asked at most.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// How to watch.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How often the appliance is asked, with a unit: at least 100ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    duration(text)
        .filter(|wanted| (LEAST_INTERVAL..=Duration::from_secs(3600)).contains(wanted))
        .ok_or_else(|| "give a time such as \"1s\", from \"100ms\" to \"1h\"".to_owned())
}

/// What happened.
enum Heard {
    /// The appliance answered, or did not.
    Told(Result<Box<Status>, String>),
    /// The terminal has something to tell.
    Terminal(Event),
    /// Somebody wants an end of it.
    End,
}

/// Runs the command, until a key or a signal ends it.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!(
            "`assent top` draws on a terminal, and this is none; `assent status` prints a reading, and `assent status -o json` one for programs"
        );
    }
    let config = Config::load(&globals.config)?;
    let coloured = is_coloured(&std::io::stdout());
    let (tell, heard) = sync_channel(MAX_HEARD);
    let mut screen = Screen::open().context("cannot use the terminal; `assent status` needs none")?;
    start(&config.appliance.data, options.interval, &tell).context("cannot start a thread")?;
    drop(tell);
    let outcome = watch(&mut screen, &heard, Readings::new(Clock::system().now()), coloured);
    drop(screen);
    outcome?;
    Ok(Exit::Done)
}

fn watch(
    screen: &mut Screen,
    heard: &Receiver<Heard>,
    mut readings: Readings,
    coloured: bool,
) -> std::io::Result<()> {
    let clock = Clock::system();
    loop {
        screen.draw(|frame| picture::draw(frame, &readings, clock.now(), coloured))?;
        match heard.recv_timeout(DRAW_EVERY) {
            Ok(Heard::Told(told)) => readings.take(told, clock.now()),
            Ok(Heard::Terminal(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                if !pressed(&key, &mut readings) {
                    return Ok(());
                }
            }
            // A terminal of another size is drawn on anew, as it is every time.
            Ok(Heard::Terminal(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Heard::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Does what a key asks for; false for an end.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other key means nothing here")]
fn pressed(key: &KeyEvent, readings: &mut Readings) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => false,
        KeyCode::Char('q') => false,
        KeyCode::Char('p' | ' ') => {
            readings.paused = !readings.paused;
            true
        }
        KeyCode::Char('?' | 'h') => {
            readings.help = !readings.help;
            true
        }
        KeyCode::Esc => {
            readings.help = false;
            true
        }
        _ => true,
    }
}

/// Starts what tells: of the appliance, of the terminal, and of signals.
fn start(data: &Path, interval: Duration, tell: &SyncSender<Heard>) -> std::io::Result<()> {
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let (asking, data) = (tell.clone(), data.to_owned());
    thread("asking").spawn(move || {
        let told = || {
            let told = control::ask_status(&data).map(Box::new).map_err(|error| chain(&error));
            asking.send(Heard::Told(told))
        };
        while told().is_ok() {
            std::thread::sleep(interval);
        }
    })?;
    let keys = tell.clone();
    thread("keys").spawn(move || {
        // A terminal that is gone has nothing more to tell.
        while let Ok(event) = ratatui::crossterm::event::read() {
            if keys.send(Heard::Terminal(event)).is_err() {
                return;
            }
        }
        let _ = keys.send(Heard::End);
    })?;
    let ending = tell.clone();
    thread("signals").spawn(move || {
        // Where signals cannot be heard, keys end it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if runtime.is_ok_and(|runtime| runtime.block_on(signalled()).is_ok()) {
            let _ = ending.send(Heard::End);
        }
    })?;
    Ok(())
}

/// Returns when the process is told to end.
async fn signalled() -> std::io::Result<()> {
    let (mut term, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = hang_up.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
