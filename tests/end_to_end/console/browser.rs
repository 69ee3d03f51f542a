//! A browser as an operator has it: headless Chromium with an authenticator of its own, and ears for whatever goes wrong in it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appliance::clock::Stopwatch;
use chromiumoxide::cdp::browser_protocol::browser::{SetDownloadBehaviorBehavior, SetDownloadBehaviorParams};
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams, SetEmulatedMediaParams, SetScriptExecutionDisabledParams,
};
use chromiumoxide::cdp::browser_protocol::log::{EnableParams as LogEnable, EventEntryAdded};
use chromiumoxide::cdp::browser_protocol::page::CreateIsolatedWorldParams;
use chromiumoxide::cdp::browser_protocol::web_authn::{
    AddVirtualAuthenticatorParams, AuthenticatorProtocol, AuthenticatorTransport, EnableParams,
    RemoveVirtualAuthenticatorParams, VirtualAuthenticatorOptions,
};
use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, EventExceptionThrown};
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Browser, BrowserConfig, Page};
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long a page may take to come to show something.
const PATIENCE: Duration = Duration::from_secs(20);

/// One tab.
pub(super) struct Tab {
    runtime: Runtime,
    page: Page,
    /// Others of the same browser, in the order in which they were left.
    others: Vec<Page>,
    browser: Browser,
    authenticator: Option<chromiumoxide::cdp::browser_protocol::web_authn::AuthenticatorId>,
    /// The size that was set: a picture of a whole page takes it away.
    size: Cell<Option<(i64, bool)>>,
    /// What the browser complained of: errors of scripts, and what its policies forbade.
    problems: Arc<Mutex<Vec<String>>>,
    _profile: TempDir,
}

impl Tab {
    /// Opens one. Chromium comes with Debian's package `chromium`; `tests/run` installs it.
    pub(super) fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let profile = tempfile::tempdir().expect("a folder");
        let config = BrowserConfig::builder()
            .chrome_executable(
                ["/usr/bin/chromium", "/usr/bin/chromium-browser"]
                    .iter()
                    .map(PathBuf::from)
                    .find(|path| path.exists())
                    .expect("install the package `chromium`"),
            )
            .no_sandbox()
            .user_data_dir(profile.path())
            .window_size(1280, 900)
            .viewport(None)
            .args(["--disable-gpu", "--disable-dev-shm-usage"])
            .build()
            .expect("a configuration");
        let problems = Arc::new(Mutex::new(Vec::new()));
        let (browser, page) = runtime.block_on(async {
            let (browser, mut handler) = Browser::launch(config).await.expect("chromium starts");
            tokio::spawn(async move { while handler.next().await.is_some() {} });
            let page = browser.new_page("about:blank").await.expect("a tab");
            hear(&page, &problems).await;
            page.execute(EnableParams::default()).await.expect("authenticators");
            (browser, page)
        });
        let mut tab = Self {
            runtime,
            page,
            others: Vec::new(),
            browser,
            authenticator: None,
            size: Cell::new(None),
            problems,
            _profile: profile,
        };
        tab.take_authenticator();
        tab
    }

    /// Opens another in the same browser, in front of this one.
    pub(super) fn open_beside(&mut self, url: &str) {
        let page = self.runtime.block_on(async {
            let page = self.browser.new_page("about:blank").await.expect("a tab");
            hear(&page, &self.problems).await;
            page.bring_to_front().await.expect("it comes to the front");
            page
        });
        self.others.push(std::mem::replace(&mut self.page, page));
        self.goto(url);
    }

    /// Comes back to another, which was left as this one is now.
    pub(super) fn turn_to(&mut self, other: usize) {
        let page = self.others.get_mut(other).expect("it is open");
        std::mem::swap(page, &mut self.page);
        self.runtime.block_on(self.page.bring_to_front()).expect("it comes to the front");
    }

    /// How many others are open.
    pub(super) const fn others(&self) -> usize {
        self.others.len()
    }

    /// What an expression gives in another, which stays where it is.
    pub(super) fn value_behind(&self, other: usize, expression: &str) -> serde_json::Value {
        self.value_of(self.others.get(other).expect("it is open"), expression)
    }

    /// Lays the authenticator aside, with its keys, and takes a new one.
    pub(super) fn take_authenticator(&mut self) {
        let options = VirtualAuthenticatorOptions::builder()
            .protocol(AuthenticatorProtocol::Ctap2)
            .transport(AuthenticatorTransport::Internal)
            .has_resident_key(true)
            .has_user_verification(true)
            .is_user_verified(true)
            .automatic_presence_simulation(true)
            .build()
            .expect("options");
        let before = self.authenticator.take();
        let added = self.runtime.block_on(async {
            if let Some(id) = before {
                self.page.execute(RemoveVirtualAuthenticatorParams::new(id)).await.expect("it goes");
            }
            self.page.execute(AddVirtualAuthenticatorParams::new(options)).await.expect("it comes")
        });
        self.authenticator = Some(added.result.authenticator_id.clone());
    }

    pub(super) fn goto(&self, url: &str) {
        self.runtime.block_on(self.page.goto(url)).unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// What an expression gives. A promise is waited for.
    pub(super) fn value(&self, expression: &str) -> serde_json::Value {
        self.value_of(&self.page, expression)
    }

    fn value_of(&self, page: &Page, expression: &str) -> serde_json::Value {
        let asked =
            async { page.evaluate(expression).await?.into_value::<serde_json::Value>().map_err(Into::into) };
        let told: Result<serde_json::Value, chromiumoxide::error::CdpError> = self.runtime.block_on(asked);
        told.unwrap_or(serde_json::Value::Null)
    }

    /// Waits until an expression is true.
    pub(super) fn wait(&self, what: &str, expression: &str) {
        let watch = Stopwatch::start();
        while self.value(&format!("Boolean({expression})")) != true {
            if watch.elapsed() > PATIENCE {
                self.picture("failed");
                panic!("{what}: not within {PATIENCE:?}; the page says:\n{}", self.text("body"));
            }
            std::thread::sleep(Duration::from_millis(50)); // WAIT: for the page, up to PATIENCE
        }
    }

    pub(super) fn text(&self, selector: &str) -> String {
        let told = self.value(&format!("document.querySelector({selector:?})?.innerText ?? ''"));
        told.as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn click(&self, selector: &str) {
        self.wait(selector, &format!("document.querySelector({selector:?})"));
        self.value(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Posts to the console as a script of its page could.
    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        self.value(&format!(
            "fetch({path:?}, {{method: 'POST', headers: {{'content-type': 'application/json', 'x-csrf': document.querySelector('main').dataset.csrf}}, body: JSON.stringify({body})}}).then((r) => r.json())"
        ))
    }

    pub(super) fn set_width(&self, width: i64, is_phone: bool) {
        self.size.set(Some((width, is_phone)));
        let metrics = SetDeviceMetricsOverrideParams::new(width, 800, 1.0, is_phone);
        self.runtime.block_on(self.page.execute(metrics)).expect("a size");
    }

    pub(super) fn set_dark(&self, dark: bool) {
        let scheme = MediaFeature::new("prefers-color-scheme", if dark { "dark" } else { "light" });
        let media = SetEmulatedMediaParams::builder().feature(scheme).build();
        self.runtime.block_on(self.page.execute(media)).expect("a scheme");
    }

    pub(super) fn set_scripts(&self, run: bool) {
        let disabled = SetScriptExecutionDisabledParams::new(!run);
        self.runtime.block_on(self.page.execute(disabled)).expect("scripts");
    }

    /// What an expression gives behind a script, in a world of its own: it sees the page, and neither the page's scripts nor its
    /// policy are touched.
    pub(super) fn apart(&self, script: &str, expression: &str) -> serde_json::Value {
        self.runtime.block_on(async {
            let frame = self.page.mainframe().await.expect("a frame").expect("a frame");
            let world = CreateIsolatedWorldParams::new(frame);
            let world = self.page.execute(world).await.expect("a world").result.execution_context_id;
            let evaluate = |source: &str| {
                let params = EvaluateParams::builder().expression(source).context_id(world);
                let params = params.await_promise(true).return_by_value(true).build().expect("an expression");
                self.page.execute(params)
            };
            evaluate(script).await.expect("the script");
            let told = evaluate(expression).await.expect("an answer").result;
            assert!(told.exception_details.is_none(), "{:?}", told.exception_details);
            told.result.value.unwrap_or_default()
        })
    }

    /// Keeps what the page has the browser download in this folder.
    pub(super) fn download_to(&self, folder: &Path) {
        let behavior = SetDownloadBehaviorParams::builder()
            .behavior(SetDownloadBehaviorBehavior::Allow)
            .download_path(folder.display().to_string())
            .build()
            .expect("a behaviour");
        self.runtime.block_on(self.browser.execute(behavior)).expect("downloads");
    }

    /// Keeps a picture of the page below `target/console/`, to be looked at.
    pub(super) fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/console");
        std::fs::create_dir_all(&folder).expect("a folder");
        let params = ScreenshotParams::builder().full_page(true).build();
        let file = folder.join(format!("{name}.png"));
        let _ = self.runtime.block_on(self.page.save_screenshot(params, file));
        if let Some((width, is_phone)) = self.size.get() {
            self.set_width(width, is_phone);
        }
    }

    /// What the browser complained of so far, and not again.
    pub(super) fn problems(&self) -> Vec<String> {
        std::mem::take(&mut *self.problems.lock().expect("nobody panicked"))
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            let _ = self.browser.close().await;
            let _ = self.browser.wait().await;
        });
    }
}

/// Keeps what a page complains of from now on.
async fn hear(page: &Page, problems: &Arc<Mutex<Vec<String>>>) {
    page.execute(LogEnable::default()).await.expect("its log");
    let mut entries = page.event_listener::<EventEntryAdded>().await.expect("entries");
    let mut thrown = page.event_listener::<EventExceptionThrown>().await.expect("exceptions");
    let heard = Arc::clone(problems);
    tokio::spawn(async move {
        loop {
            let told = tokio::select! {
                Some(entry) = entries.next() => {
                    format!("{:?}: {} {:?}", entry.entry.level, entry.entry.text, entry.entry.url)
                }
                Some(thrown) = thrown.next() => format!("thrown: {:?}", thrown.exception_details),
                else => break,
            };
            // Only keys that OpenSSH knows as security keys may sign, and RS256 is none: we mean it.
            if !told.contains("pubKeyCredParams is missing at least one of the default algorithm identifiers")
            {
                heard.lock().expect("nobody panicked").push(told);
            }
        }
    });
}
