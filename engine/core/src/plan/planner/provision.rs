//! Provisioners of instances: which ones run, with which arguments, and whether they may.
//!
//! What the spec says decides. A command that only the state has is told of and not run, unless the user agrees: a shared
//! state is not code.

use super::consent::Command;
use super::{Planner, block_of};
use crate::config::provisioners::{LOCAL_EXEC, schema};
use crate::config::{Provisioner, ResourceBlock, When, body};
use crate::exec::provision::Job;
use crate::plan::{Change, ChangeAction};
use crate::scope::{Place, Scope};
use crate::state::{Object, OnDestroy, RecordedCommand, Status};
use crate::values::Keys;
use groma_lang::expr::{Expr, parse_expression};
use groma_lang::text::Text;
use groma_types::convert::convert;
use groma_types::{Address, Diagnostic, Diagnostics, InstanceAddr, SourceId, Value};
use std::sync::Arc;

impl Planner {
    pub(super) fn block_at(&self, address: &InstanceAddr) -> Option<Arc<ResourceBlock>> {
        let block = block_of(&address.resource);
        self.eval.config.modules.get(&block.0)?.resources.get(&block.1).cloned()
    }

    fn own_place(&self, address: &InstanceAddr, this: &Value) -> Place {
        let keys = self.values.block(&address.resource).map_or(Keys::Single, |b| b.keys.clone());
        let place = Place::instance(address.resource.module.clone(), address.key.clone(), &keys);
        Place { this: Some(this.clone()), ..place }
    }

    /// Whether an instance that is made has commands to run then.
    pub fn is_provisioned(&self, address: &InstanceAddr) -> bool {
        self.block_at(address).is_some_and(|b| b.provisioners.iter().any(|p| p.when == When::Create))
    }

    /// What an object's record keeps of its destroy-time provisioners.
    pub fn recorded_commands(&self, address: &InstanceAddr) -> Vec<RecordedCommand> {
        let Some(block) = self.block_at(address) else { return Vec::new() };
        let is_kept = |p: &&Provisioner| p.when == When::Destroy && &*p.kind == LOCAL_EXEC;
        let record = |p: &Provisioner| {
            let names = schema().attrs.keys();
            let texts = names.filter_map(|name| {
                let expr = body::argument_expr(&p.body, name)?;
                Some((name.clone(), expr.source_text()))
            });
            RecordedCommand { arguments: texts.collect(), continues: p.continues }
        };
        block.provisioners.iter().filter(is_kept).map(record).collect()
    }

    /// What runs when an object has been made, over the object. `None`: faults were reported.
    pub fn after_create(&mut self, address: &InstanceAddr, this: &Value) -> Option<Vec<Job>> {
        let Some(block) = self.block_at(address) else { return Some(Vec::new()) };
        self.jobs(address, this, &block.provisioners, When::Create)
    }

    /// What runs before an object is deleted. `None`: faults were reported.
    pub fn before_delete(&mut self, object: &Object, change: &Change, this: &Value) -> Option<Vec<Job>> {
        let calls = matches!(
            change.action,
            ChangeAction::Delete | ChangeAction::Replace | ChangeAction::ReplaceCreateFirst
        );
        // As in Terraform: what was left behind by a replacement, or was never well, has no farewell.
        let is_well = !matches!(object.status, Status::Deposed(_) | Status::Tainted(_));
        if !calls || !is_well || change.dropped_with.is_some() || change.on_destroy == OnDestroy::Keep {
            return Some(Vec::new());
        }
        let address = &object.address;
        if let Some(block) = self.block_at(address) {
            return self.jobs(address, this, &block.provisioners, When::Destroy);
        }
        let removed = self.removed_block(address).map(|r| r.provisioners).unwrap_or_default();
        if !removed.is_empty() {
            return self.jobs(address, this, &removed, When::Destroy);
        }
        let recorded = &object.settings.before_destroy;
        if self.options.allow_recipe_exec {
            return recorded.iter().map(|c| self.recorded_job(address, this, c)).collect();
        }
        if !recorded.is_empty() {
            self.tell_unrun(address, recorded);
        }
        Some(Vec::new())
    }

    fn tell_unrun(&mut self, address: &InstanceAddr, recorded: &[RecordedCommand]) {
        let text = |c: &RecordedCommand| c.arguments.get("command").cloned().unwrap_or_default();
        let all: Vec<String> = recorded.iter().map(|c| text(c).to_string()).collect();
        let warning = Diagnostic::warning("G1068", "A destroy-time command will not run")
            .detail(format!(
                "{address} was made with destroy-time commands that the spec no longer has, and a state is not code: {}.",
                all.join(", ")
            ))
            .help("-allow-recipe-exec runs them; or give the commands in a removed block for it.")
            .address(address);
        let is_told = self.diagnostics.iter().any(|d| d.code == warning.code && d.address == warning.address);
        if !is_told {
            self.diagnostics.push(warning);
        }
    }

    fn jobs(
        &mut self,
        address: &InstanceAddr,
        this: &Value,
        all: &[Provisioner],
        when: When,
    ) -> Option<Vec<Job>> {
        let place = self.own_place(address, this);
        all.iter().filter(|p| p.when == when).map(|p| self.job(address, &place, p)).collect()
    }

    fn job(&mut self, address: &InstanceAddr, place: &Place, provisioner: &Provisioner) -> Option<Job> {
        self.may_provision(address, provisioner)?;
        let arguments = self.provisioner_arguments(address, place, provisioner)?;
        self.ready(address, provisioner.kind.clone(), Some(provisioner), provisioner.continues, arguments)
    }

    /// Asks whether a provisioner can and may run.
    fn may_provision(&mut self, address: &InstanceAddr, provisioner: &Provisioner) -> Option<()> {
        if &*provisioner.kind != LOCAL_EXEC {
            self.diagnostics.push(
                Diagnostic::error("G0614", "This kind of provisioner is not run")
                    .detail(format!(
                        "{} would log in to a machine; groma works through APIs, and with local-exec.",
                        provisioner.kind
                    ))
                    .help("Give the machine its work as it is made (user_data with cloud-init, an image made by Packer), or run ssh, scp or a configuration tool from local-exec.")
                    .at(provisioner.span, "this provisioner")
                    .address(address),
            );
            return None;
        }
        let module = address.resource.module.path();
        let who = address.to_string();
        let command = Command { module: &module, who, what: LOCAL_EXEC, span: provisioner.span };
        self.may_run(&command).then_some(())
    }

    fn provisioner_arguments(
        &mut self,
        address: &InstanceAddr,
        place: &Place,
        provisioner: &Provisioner,
    ) -> Option<Value> {
        let scope = Scope { eval: &self.eval, values: &self.values, place: place.clone() };
        let (value, faults) = body::evaluate(&provisioner.body, schema(), &scope);
        let failed = faults.has_errors();
        self.diagnostics.extend(faults.into_iter().map(|d| d.address(address)));
        (!failed).then_some(value)
    }

    /// Makes a job of arguments that are known now.
    fn ready(
        &mut self,
        address: &InstanceAddr,
        kind: Arc<str>,
        written: Option<&Provisioner>,
        continues: bool,
        arguments: Value,
    ) -> Option<Job> {
        let minters = self.minters_of(&arguments);
        let mut waits = false;
        arguments.walk(&mut |v| waits |= v.as_unknown().is_some_and(|u| u.residual.is_none()));
        if waits {
            let mut fault = Diagnostic::error("G1120", "A provisioner failed")
                .detail("A value that it needs is still not known.")
                .address(address);
            fault = written.map_or(fault.clone(), |p| fault.at(p.span, "this provisioner"));
            self.diagnostics.push(fault);
            return None;
        }
        let span = written.map(|p| p.span);
        Some(Job { kind, span, continues, arguments, minters })
    }

    /// A command as the state has it, over the object.
    fn recorded_job(
        &mut self,
        address: &InstanceAddr,
        this: &Value,
        command: &RecordedCommand,
    ) -> Option<Job> {
        let place = self.own_place(address, this);
        let mut faults = Diagnostics::new();
        let mut value = Value::object(Vec::<(Arc<str>, Value)>::new());
        for (name, attribute) in &schema().attrs {
            let written = command.arguments.get(name);
            let found = written.map_or(Value::NULL, |text| {
                let (expr, found): (Expr, Diagnostics) =
                    parse_expression(&Text::plain(text.clone(), SourceId(0), 0));
                faults.extend(found);
                let (value, found) = self.eval.expr(&self.values, &place, &expr);
                faults.extend(found);
                value
            });
            value = value.with_attr(name, convert(&found, &attribute.ty).unwrap_or(found));
        }
        if faults.has_errors() {
            let why = faults.iter().find(|d| d.is_error()).map(|d| d.detail.clone()).unwrap_or_default();
            self.diagnostics.push(
                Diagnostic::error("G1120", "A provisioner failed")
                    .detail(format!("A destroy-time command of the state can't be read: {why}"))
                    .address(address),
            );
            return None;
        }
        self.ready(address, LOCAL_EXEC.into(), None, command.continues, value)
    }

    /// Looks at what an instance's creation would run: whether it may, and whether its arguments fit.
    pub(super) fn plan_provisioners(
        &mut self,
        address: &InstanceAddr,
        resource: &ResourceBlock,
        change: &Change,
    ) -> Option<()> {
        if !change.action.creates() {
            return Some(());
        }
        let this = change.planned.clone().unwrap_or(Value::NULL);
        let place = self.own_place(address, &this);
        for provisioner in resource.provisioners.iter().filter(|p| p.when == When::Create) {
            self.may_provision(address, provisioner)?;
            self.provisioner_arguments(address, &place, provisioner)?;
        }
        Some(())
    }

    /// Looks at what the deletions of a plan would run.
    pub(in crate::plan) fn plan_farewells(&mut self) {
        let deletions: Vec<Arc<Change>> =
            self.changes.values().filter(|c| c.action.deletes()).cloned().collect();
        for change in deletions {
            let object = change.object.as_ref().and_then(|id| self.state.objects.get(id)).cloned();
            if let Some(object) = object {
                let this = change.prior.clone().unwrap_or_else(|| object.attributes.clone());
                // Faults are reported where they are found.
                let _ = self.before_delete(&object, &change, &this);
            }
        }
    }

    /// Reports how provisioners ended.
    pub fn report_provisioned(
        &mut self,
        address: &InstanceAddr,
        ended: &crate::exec::provision::Provisioned,
    ) {
        let own = Address::Instance(address.clone());
        let tell = |base: Diagnostic, f: &crate::exec::provision::Failure| {
            let told = base.detail(format!("{}: {}", f.kind, f.message)).address(&own);
            f.span.map_or(told.clone(), |span| told.at(span, "this provisioner"))
        };
        for passed in &ended.passed {
            let base = Diagnostic::warning("G1120", "A provisioner failed, and was passed over");
            self.diagnostics.push(tell(base, passed));
        }
        if let Some(failed) = &ended.failed {
            self.diagnostics.push(tell(Diagnostic::error("G1120", "A provisioner failed"), failed));
        }
    }
}
