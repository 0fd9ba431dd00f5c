//! `-strict`: what groma has beyond Terraform is refused, so that the stack can be run by both.
//!
//! Keys `x-…` are let through: they mean nothing, and a stack that is written out in Terraform's syntax has none.

use super::check::{Schemas, kind_schema};
use super::targets::provider_name;
use super::{
    Config, Expansion, IgnoreChanges, Module, ModuleCall, ProviderBlock, ProviderRef, ResourceBlock,
};
use groma_lang::expr::{Expr, Reference};
use groma_types::{Diagnostic, Diagnostics, SourceMap, Span};

/// Finds every use of what Terraform has not.
pub fn check(config: &Config, schemas: &dyn Schemas) -> Diagnostics {
    let mut strict = Strict { config, schemas, sources: &config.sources, out: Diagnostics::new() };
    config.modules.values().for_each(|m| strict.module(m));
    strict.out
}

pub fn refusal(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error("G0621", "Terraform has not this")
        .detail(format!("With -strict the stack must be one that Terraform can run, and it has no {what}."))
        .help("Write it in Terraform's way, or leave -strict out.")
        .at(span, "beyond Terraform")
}

struct Strict<'a> {
    config: &'a Config,
    schemas: &'a dyn Schemas,
    sources: &'a SourceMap,
    out: Diagnostics,
}

impl Strict<'_> {
    fn refuse(&mut self, what: &str, span: Span) {
        self.out.push(refusal(what, span));
    }

    fn refuse_any(&mut self, what: &str, expr: Option<&Expr>) {
        expr.into_iter().for_each(|e| self.refuse(what, e.span()));
    }

    fn module(&mut self, module: &Module) {
        for span in module.settings.iter().map(|s| s.span) {
            self.refuse("groma block", span);
        }
        module.providers.iter().for_each(|p| self.provider(module, p));
        module.resources.values().for_each(|r| self.resource(module, r));
        module.calls.values().for_each(|c| self.call(c));
        module.outputs.values().for_each(|o| self.references(&o.depends_on));
        let moves = module.moved.iter().map(|m| m.span);
        moves.chain(module.removed.iter().map(|r| r.span)).for_each(|span| self.addresses(span));
        if let Some(backend) = &module.backend {
            for (_, expr) in backend.arguments(&mut Diagnostics::new()) {
                self.refuse_unfixed("expressions in a backend", &expr);
            }
        }
    }

    fn refuse_unfixed(&mut self, what: &str, expr: &Expr) {
        if !expr.is_static() {
            self.refuse(what, expr.span());
        }
    }

    fn provider(&mut self, module: &Module, block: &ProviderBlock) {
        self.refuse_any("for_each of a provider", block.for_each.as_ref());
        self.refuse_any("lifecycle.expect", block.expect.as_ref());
        if let Some(reference) = &block.hosted_by {
            self.refuse("lifecycle.hosted_by", reference.span);
        }
        let known = self.schemas.provider(&provider_name(self.config, &module.path, &block.name));
        let attrs = known.into_iter().flat_map(|schema| &schema.config.attrs);
        for name in attrs.filter(|(_, a)| a.beyond_terraform).map(|(name, _)| name) {
            if let Some((key, _)) = block.body.node.get(name) {
                self.refuse(&format!("argument {name:?} of this provider"), key.span);
            }
        }
    }

    fn resource(&mut self, module: &Module, block: &ResourceBlock) {
        if kind_schema(self.config, self.schemas, module, block).is_some_and(|k| k.beyond_terraform) {
            self.refuse(&format!("kind {:?}", &*block.id.kind), block.span);
        }
        self.expansion(&block.expansion);
        self.provider_ref(&block.provider);
        let lifecycle = &block.lifecycle;
        let ours = [
            ("on_destroy", &lifecycle.on_destroy),
            ("max_instances", &lifecycle.max_instances),
            ("on_missing", &lifecycle.on_missing),
            ("wait", &lifecycle.wait),
        ];
        for (name, written) in ours {
            self.refuse_any(&format!("lifecycle.{name}"), written.as_ref());
        }
        for expr in [&lifecycle.create_before_destroy, &lifecycle.prevent_destroy].into_iter().flatten() {
            self.refuse_unfixed("expressions in lifecycle arguments", expr);
        }
        self.references(&block.depends_on);
        lifecycle.replace_triggered_by.iter().for_each(|e| self.bare(e.span()));
        if let IgnoreChanges::Paths(paths) = &lifecycle.ignore_changes {
            self.references(paths);
        }
    }

    fn call(&mut self, call: &ModuleCall) {
        self.expansion(&call.expansion);
        self.references(&call.depends_on);
        call.providers.values().for_each(|p| self.provider_ref(p));
        for span in &call.computed {
            self.refuse("expressions in source and version", *span);
        }
    }

    fn expansion(&mut self, expansion: &Expansion) {
        match expansion {
            Expansion::Enabled(expr) => self.refuse("lifecycle.enabled", expr.span()),
            Expansion::Single | Expansion::Count(_) | Expansion::ForEach(_) => {}
        }
    }

    fn provider_ref(&mut self, provider: &ProviderRef) {
        self.refuse_any("instances of a provider", provider.key.as_ref());
        self.bare(provider.span);
    }

    fn references<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>) {
        references.into_iter().for_each(|r| self.bare(r.span));
    }

    /// A block that holds addresses and nothing else.
    fn addresses(&mut self, span: Span) {
        let text = &self.sources.get(span.source).text;
        if text.get(span.start as usize..span.end as usize).is_some_and(|t| t.contains("${")) {
            self.refuse("${} round a static reference", span);
        }
    }

    /// Static references are bare: Terraform takes no template there.
    fn bare(&mut self, span: Span) {
        let text = &self.sources.get(span.source).text;
        let (before, inside) = text.split_at_checked(span.start as usize).unwrap_or((text, ""));
        if before.trim_end().ends_with("${") || inside.trim_start_matches('"').starts_with("${") {
            self.refuse("${} round a static reference", span);
        }
    }
}
