//! `provisioner` and `connection` blocks of resources and of `removed`.

use super::Decoder;
use crate::config::provisioners::LOCAL_EXEC;
use crate::config::values::{keyword, one_or_many, wrong_shape};
use crate::config::{Body, Provisioner, When};
use groma_lang::document::{Key, Node, NodeKind};
use groma_types::{Diagnostic, Span};

impl Decoder<'_> {
    /// `{KIND: {…}}`, or a list of these; in the order in which they are written.
    pub(super) fn provisioners(&mut self, node: &Node) -> Vec<Provisioner> {
        let mut found = Vec::new();
        for entry in one_or_many(node) {
            let Some(kinds) = entry.as_map() else {
                wrong_shape(entry, "provisioner", "a mapping of a kind to its arguments", self.out);
                continue;
            };
            for (kind, node) in kinds.iter().filter(|(k, _)| &*k.text != "//") {
                let bodies = one_or_many(node);
                if bodies.is_empty() {
                    self.missing(kind.span, "A provisioner", "command");
                }
                found.extend(bodies.into_iter().filter_map(|body| self.provisioner(kind, body)));
            }
        }
        found
    }

    fn provisioner(&mut self, kind: &Key, node: &Node) -> Option<Provisioner> {
        if !["local-exec", "remote-exec", "file"].contains(&&*kind.text) {
            self.unknown(kind, "A provisioner block", &["local-exec", "remote-exec", "file"]);
            return None;
        }
        let Some(entries) = node.as_map() else {
            wrong_shape(node, "A provisioner", "a mapping", self.out);
            return None;
        };
        let (mut when, mut continues) = (When::Create, false);
        let mut own = Vec::new();
        for (key, value) in entries {
            match &*key.text {
                "when" => {
                    let destroys = self.word(key, value, ["create", "destroy"]);
                    when = if destroys { When::Destroy } else { When::Create };
                }
                "on_failure" => continues = self.word(key, value, ["fail", "continue"]),
                "connection" if &*kind.text == LOCAL_EXEC => self.idle_connection(key.span),
                "connection" | "//" => {}
                _ => own.push((key.clone(), value.clone())),
            }
        }
        let span = kind.span;
        let body = Body { node: Node { span: node.span, kind: NodeKind::Map(own) }, span };
        Some(Provisioner { kind: kind.text.clone(), span, when, continues, body })
    }

    /// How to reach a machine, where only what is refused would want to know it.
    fn idle_connection(&mut self, span: Span) {
        self.out.push(
            Diagnostic::warning("G0623", "A connection that nothing uses")
                .detail("It says how remote-exec and file provisioners reach a machine; here is neither.")
                .help("Take it out.")
                .at(span, "does nothing"),
        );
    }

    /// The connection of a block is for those of its provisioners that have none of their own.
    pub(super) fn connection(&mut self, span: Option<Span>, provisioners: &[Provisioner]) {
        if let Some(span) = span.filter(|_| provisioners.iter().all(|p| &*p.kind == LOCAL_EXEC)) {
            self.idle_connection(span);
        }
    }

    /// Which of two words an argument says: whether it is the second one.
    fn word(&mut self, key: &Key, node: &Node, words: [&str; 2]) -> bool {
        let found = keyword(node);
        // Terraform 0.11 put references in quotes; its JSON may still hold them as templates.
        let word = found.as_deref().map(|w| w.trim_start_matches("${").trim_end_matches('}'));
        if word.is_none_or(|w| !words.contains(&w)) {
            self.out.push(
                Diagnostic::error("G0604", "The value has the wrong shape")
                    .detail(format!("{} is the word {} or {}.", key.text, words[0], words[1]))
                    .at(node.span, "another value"),
            );
        }
        word == Some(words[1])
    }
}
