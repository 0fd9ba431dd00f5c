//! Volumes of pods.

use super::container::{field_ref, resource_field_ref};
use super::{item_fields, selector_fields};
use crate::mapping::{
    Field, boolean, int, many, octal, one, quantity, quantity_map, text, text_map, text_set,
};

pub(crate) fn volumes() -> Field {
    let fields = vec![
        one("aws_elastic_block_store", "A disk of AWS.", aws_disk()),
        one("config_map", "Files from a config map.", config_map()),
        one("csi", "A volume of a CSI driver.", csi()),
        one("downward_api", "Files from fields of the pod.", downward_api()).api("downwardAPI"),
        one("empty_dir", "An empty folder that lives as long as the pod.", empty_dir()),
        one("ephemeral", "A volume claimed for the pod's life.", ephemeral()),
        one("host_path", "A path of the node.", host_path()),
        text("name", "Name of the volume."),
        one("nfs", "A share of an NFS server.", nfs()),
        one("persistent_volume_claim", "A claimed volume.", claim()),
        one("projected", "Files from several sources.", projected()),
        one("secret", "Files from a secret.", secret()),
    ];
    many("volume", "Volumes of the pod.", fields).api("volumes").keyed(&["name"])
}

fn default_mode() -> Field {
    octal("default_mode", "File mode in octal, such as `0644`.").default("0644")
}

fn items() -> Field {
    many("items", "Keys to project; all if none is given.", item_fields())
}

fn config_map() -> Vec<Field> {
    vec![
        default_mode(),
        items(),
        text("name", "Name of the config map."),
        boolean("optional", "Whether it may be missing."),
    ]
}

fn secret() -> Vec<Field> {
    vec![
        default_mode(),
        items(),
        boolean("optional", "Whether it may be missing."),
        text("secret_name", "Name of the secret."),
    ]
}

fn empty_dir() -> Vec<Field> {
    vec![
        text("medium", "`Memory`, or empty for the node's disk."),
        quantity("size_limit", "The most that the folder may hold."),
    ]
}

fn host_path() -> Vec<Field> {
    vec![text("path", "Path on the node."), text("type", "What must be there, such as `Directory`.")]
}

fn claim() -> Vec<Field> {
    vec![
        text("claim_name", "Name of the claim."),
        boolean("read_only", "Mount for reading only.").default(false),
    ]
}

fn nfs() -> Vec<Field> {
    vec![
        text("path", "Exported path.").required(),
        boolean("read_only", "Mount for reading only."),
        text("server", "Host of the server.").required(),
    ]
}

fn aws_disk() -> Vec<Field> {
    vec![
        text("fs_type", "File system."),
        int("partition", "Partition of the disk."),
        boolean("read_only", "Mount for reading only."),
        text("volume_id", "Id of the disk.").api("volumeID").required(),
    ]
}

fn csi() -> Vec<Field> {
    let secret = vec![text("name", "Name of the secret.")];
    vec![
        text("driver", "Name of the driver.").required(),
        text("fs_type", "File system."),
        one("node_publish_secret_ref", "Secret that the driver gets.", secret),
        boolean("read_only", "Mount for reading only."),
        text_map("volume_attributes", "Settings of the driver."),
    ]
}

fn downward_items() -> Vec<Field> {
    vec![
        one("field_ref", "A field of the pod.", field_ref()),
        octal("mode", "File mode in octal."),
        text("path", "Relative path of the file.").required(),
        one("resource_field_ref", "A resource of a container.", resource_field_ref()),
    ]
}

fn downward_api() -> Vec<Field> {
    vec![default_mode(), many("items", "Fields to project.", downward_items())]
}

fn ephemeral() -> Vec<Field> {
    let metadata = vec![
        text_map("annotations", "Annotations of the claim."),
        text_map("labels", "Labels of the claim."),
    ];
    let resources =
        vec![quantity_map("limits", "The most to get."), quantity_map("requests", "The least to get.")];
    let spec = vec![
        text_set("access_modes", "Access modes.").required(),
        one("resources", "Size of the volume.", resources).required(),
        one("selector", "Labels of volumes that may be taken.", selector_fields()),
        text("storage_class_name", "Storage class.").or_computed(),
        text("volume_mode", "`Filesystem` or `Block`.").or_computed(),
        text("volume_name", "Volume to bind to.").or_computed(),
    ];
    let template = vec![
        one("metadata", "Metadata of the claim.", metadata),
        one("spec", "What the claim asks for.", spec).required(),
    ];
    vec![one("volume_claim_template", "The claim to make.", template).required()]
}

fn projected() -> Vec<Field> {
    let named = || {
        vec![items(), text("name", "Name of the object."), boolean("optional", "Whether it may be missing.")]
    };
    let token = vec![
        text("audience", "Audience of the token."),
        int("expiration_seconds", "Seconds that the token is good for.").default(3600),
        text("path", "Relative path of the file.").required(),
    ];
    let sources = vec![
        one("config_map", "Files from a config map.", named()),
        one(
            "downward_api",
            "Files from fields of the pod.",
            vec![many("items", "Fields to project.", downward_items())],
        )
        .api("downwardAPI"),
        one("secret", "Files from a secret.", named()),
        one("service_account_token", "A token of the service account.", token),
    ];
    vec![default_mode(), many("sources", "What to project.", sources).required()]
}
