//! A `TaskRouter` of our own, over HTTP: for `rollcall demo`, for `serve` without Twilio credentials, and for tests.
//!
//! A client cannot tell it from the real service; that is why it depends on nothing that the client is made of. It models a
//! Flex workspace (activities, workers, channels, reservations, queues, events, statistics, Flex users), keeps it in a
//! journal that survives the end of the process at any point, and fails on request: `/_stand_in/faults` sets latency and
//! rates of failure, `/_stand_in/behaviour` answers the questions that Twilio's documentation leaves open.
//!
//! Everything is behind one mutex: a request holds it for microseconds, and the order of the journal is the order of effects.

mod calls;
mod error;
mod expression;
mod faults;
mod http;
mod inspect;
mod journal;
mod model;
mod options;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::serve::ListenerExt as _;
use secrecy::SecretString;
use tokio::net::TcpListener;

use self::error::ApiError;
use self::faults::{Dice, Window};
use self::model::Identity;
use self::store::{Store, Tx};
use crate::base::Ambient;

pub use self::calls::{Call, CallLog, Outcome};
pub use self::error::StandInError;
pub use self::expression::{Expression, ExpressionError};
pub use self::inspect::{ChannelSnapshot, WorkerSnapshot};
pub use self::model::ReservationStatus;
pub use self::options::{Behaviour, Credentials, Faults, StandInOptions};

/// How many calls a second may evaluate an expression over the workers (Twilio's changelog of 2024-10-18).
const EXPRESSION_QUERIES_PER_SECOND: u32 = 3;
/// How many calls are remembered unless the options say otherwise.
const CALLS_KEPT: usize = 20_000;

/// The stand-in: one account with one Flex workspace.
#[derive(Debug)]
pub struct StandIn {
    identity: Identity,
    secret: Option<SecretString>,
    ambient: Ambient,
    calls_kept: usize,
    in_flight: AtomicUsize,
    store: Mutex<Store>,
    dice: Mutex<Dice>,
    behaviour: Mutex<Behaviour>,
    expression_queries: Mutex<Window>,
    calls: Mutex<CallLog>,
}

impl StandIn {
    /// Opens what the directory holds, or makes a new workspace there. The SIDs are made once and stay.
    ///
    /// # Errors
    /// The journal cannot be used, is damaged, is in use, or belongs to other SIDs; a rate of failure is not a share.
    pub fn open(options: StandInOptions, ambient: Ambient) -> Result<Arc<Self>, StandInError> {
        let dice = Dice::new(options.faults.clone())?;
        let (store, identity) = Store::open(&options, &ambient)?;
        Ok(Arc::new(Self {
            identity,
            secret: options.api_secret,
            ambient,
            calls_kept: options.call_log.unwrap_or(CALLS_KEPT),
            in_flight: AtomicUsize::new(0),
            store: Mutex::new(store),
            dice: Mutex::new(dice),
            behaviour: Mutex::new(options.behaviour),
            expression_queries: Mutex::default(),
            calls: Mutex::default(),
        }))
    }

    /// All routes: `TaskRouter` and Flex on one listener, and the control endpoints under `/_stand_in`.
    pub fn router(self: &Arc<Self>) -> Router {
        http::router(self)
    }

    /// Answers calls until `shutdown` resolves, then finishes those under way.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection to the stand-in keeps its delay");
            }
        });
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }

    /// What a client needs to call this stand-in.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            account_sid: self.identity.account_sid.clone(),
            workspace_sid: self.identity.workspace_sid.clone(),
            instance_sid: self.identity.instance_sid.clone(),
            api_key: self.identity.api_key.clone(),
            api_secret: self.secret.clone().unwrap_or_else(|| SecretString::from("stand-in")),
        }
    }

    /// The calls so far.
    pub fn calls(&self) -> CallLog {
        hold(&self.calls).clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        *hold(&self.calls) = CallLog::default();
    }

    /// What goes wrong at present.
    pub fn faults(&self) -> Faults {
        hold(&self.dice).faults().clone()
    }

    /// Sets what goes wrong from now on; the dice start again from the seed.
    ///
    /// # Errors
    /// A rate is not a share between 0 and 1; nothing is changed then.
    pub fn set_faults(&self, faults: Faults) -> Result<(), StandInError> {
        let dice = Dice::new(faults)?;
        *hold(&self.dice) = dice;
        Ok(())
    }

    /// How the open questions are answered at present.
    pub fn behaviour(&self) -> Behaviour {
        hold(&self.behaviour).clone()
    }

    /// Answers the open questions differently from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *hold(&self.behaviour) = behaviour;
    }

    fn read<T>(&self, work: impl FnOnce(&state::State) -> T) -> T {
        work(&hold(&self.store).state)
    }

    fn write<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        hold(&self.store).transact(&self.ambient, work)
    }

    fn admit_expression_query(&self) -> Result<(), ApiError> {
        let now = self.ambient.now();
        let admitted = hold(&self.expression_queries).admit(now, EXPRESSION_QUERIES_PER_SECOND);
        if admitted { Ok(()) } else { Err(ApiError::too_many(self.faults().retry_after_s)) }
    }
}

/// A panic while the lock was held cannot have left half a change: changes are applied after the last step that can fail.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
