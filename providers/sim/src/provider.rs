//! The two providers of the simulation, before configuration.

use crate::client::{Client, Place};
use crate::kinds;
use crate::world::SimWorld;
use groma_provider::{Configure, Configured, ErrorKind, Problem, Provider, ProviderError, async_trait};
use groma_types::schema::ProviderSchema;
use groma_types::{AttrPath, Mode, Value};
use std::sync::Arc;

/// `sim` or `simkube`, over one world.
pub struct SimProvider {
    world: SimWorld,
    schema: ProviderSchema,
    hosted: bool,
}

impl SimProvider {
    /// The provider `sim`: hosts, what is attached to them, roles, and things of no special nature.
    pub fn cloud(world: SimWorld) -> SimProvider {
        SimProvider { world, schema: kinds::cloud(), hosted: false }
    }

    /// The provider `simkube`: what lives on a host.
    pub fn hosted(world: SimWorld) -> SimProvider {
        SimProvider { world, schema: kinds::on_host(), hosted: true }
    }

    /// Both, for an engine that takes a list.
    pub fn both(world: &SimWorld) -> Vec<Arc<dyn Provider>> {
        vec![Arc::new(SimProvider::cloud(world.clone())), Arc::new(SimProvider::hosted(world.clone()))]
    }
}

#[async_trait]
impl Provider for SimProvider {
    fn schema(&self) -> &ProviderSchema {
        &self.schema
    }

    fn validate(&self, _: Mode, kind: &str, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut complain = |path: AttrPath, message: &str| {
            problems.push(Problem { path, message: message.into(), help: None });
        };
        let fanout = config.get("fanout").and_then(Value::as_i64);
        if kind == "sim_item" && fanout.is_some_and(|n| !(0..=1000).contains(&n)) {
            complain(AttrPath::root().attr("fanout"), "fanout must be from 0 to 1000");
        }
        for (i, rule) in config.get("rule").and_then(Value::as_seq).into_iter().flatten().enumerate() {
            let port = rule.get("port").and_then(Value::as_i64);
            if port.is_some_and(|p| !(1..=65535).contains(&p)) {
                complain(AttrPath::root().attr("rule").index(i).attr("port"), "port must be from 1 to 65535");
            }
        }
        problems
    }

    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError> {
        let text = |name: &str| request.config.str_attr(name).map(str::to_owned);
        let place = if self.hosted {
            let missing =
                || ProviderError::new(ErrorKind::Invalid, "host is needed").at(AttrPath::root().attr("host"));
            Place::Host { endpoint: text("host").ok_or_else(missing)?, ca: text("ca") }
        } else {
            Place::Cloud { account: text("account").unwrap_or_else(|| "main".into()) }
        };
        let minter = request.minted.get(&AttrPath::root().attr("token")).cloned();
        let token = text("token");
        Ok(Arc::new(Client { world: self.world.clone(), env: request.env, place, token, minter }))
    }
}
