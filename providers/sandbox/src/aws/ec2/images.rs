//! Public machine images: a few of those that Amazon publishes, under names of their form.

use super::defaults::hex_id;
use serde_json::{Value, json};

/// The images of a region; each name has two, of two dates.
pub(super) fn all(region: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for (arch, word) in [("x86_64", "x86_64"), ("arm64", "arm64")] {
        for (date, stamp) in
            [("20250915", "2025-09-15T10:00:00.000Z"), ("20251110", "2025-11-10T10:00:00.000Z")]
        {
            for minor in ["1.33", "1.34"] {
                let name = format!("amazon-eks-node-al2023-{word}-standard-{minor}-v{date}");
                found.push(image(region, &name, arch, stamp));
            }
            found.push(image(region, &format!("al2023-ami-2023.9.{date}.0-kernel-6.1-{word}"), arch, stamp));
        }
    }
    found
}

fn image(region: &str, name: &str, arch: &str, date: &str) -> Value {
    json!({
        "imageId": hex_id("ami", &[region, name]), "name": name, "description": format!("{name} ({arch})"),
        "imageLocation": format!("amazon/{name}"), "imageState": "available", "creationDate": date,
        "imageOwnerId": "602401143452", "imageOwnerAlias": "amazon", "isPublic": true,
        "architecture": arch, "imageType": "machine", "platformDetails": "Linux/UNIX", "hypervisor": "xen",
        "virtualizationType": "hvm", "rootDeviceType": "ebs", "rootDeviceName": "/dev/xvda",
        "ownerId": "602401143452", "enaSupport": true,
        "blockDeviceMapping": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 20, "volumeType": "gp3", "deleteOnTermination": true, "encrypted": false}}],
        "tagSet": [],
    })
}
