//! Laws of the whole provider.

mod calls;
mod server;

use super::*;
use groma_types::schema::{Block, Presence};

fn walk(block: &Block, at: &str, visit: &mut dyn FnMut(&str, &groma_types::schema::Attribute)) {
    for (name, attribute) in &block.attrs {
        visit(&format!("{at}.{name}"), attribute);
    }
    for (name, nested) in &block.blocks {
        walk(&nested.block, &format!("{at}.{name}"), visit);
    }
}

#[test]
fn every_schema_is_documented_and_consistent() {
    let provider = AwsProvider::new(AwsSettings::default());
    let schema = provider.schema();
    for (kind, table) in schema.resources.iter().chain(&schema.data) {
        assert_eq!(*kind, table.kind);
        assert!(!table.block.doc.is_empty(), "{kind}");
        assert!(table.block.attrs.contains_key("id"), "{kind}");
        walk(&table.block, kind, &mut |at, attribute| {
            assert!(!attribute.doc.is_empty(), "{at}");
            assert!(!attribute.ty.has_dynamic(), "{at}");
            assert!(attribute.default.is_none() || attribute.presence == Presence::Optional, "{at}");
        });
        for arg in &table.natural_key {
            assert!(table.block.attrs.contains_key(arg), "{kind}.{arg}");
        }
        if let Some(attached) = &table.attached_to {
            assert!(table.block.attrs.contains_key(&attached.arg), "{kind}");
            assert!(schema.resources.contains_key(&attached.to), "{kind}");
        }
        for attribute in table.block.attrs.values() {
            if let groma_types::schema::ChangesWith::Args(args) = &attribute.changes_with {
                let known =
                    |a: &Arc<str>| table.block.attrs.contains_key(a) || table.block.blocks.contains_key(a);
                assert!(args.iter().all(known), "{kind}: {args:?}");
            }
        }
    }
    let pages = include_str!("../../../docs/aws.md");
    for kind in schema.resources.keys() {
        assert!(pages.contains(&format!("`{kind}`")), "docs/aws.md does not name {kind}");
    }
    for kind in schema.data.keys() {
        assert!(pages.contains(&format!("`data.{kind}`")), "docs/aws.md does not name data.{kind}");
    }
    assert!(schema.data["aws_eks_cluster_auth"].minter);
    assert!(schema.resources["aws_eks_cluster"].hosts);
}
