//! Launch templates and their versions. What a template holds is kept as it was sent, with the names of answers.

use super::{Answer, Call, TEMPLATE, edit, error, find, fresh_id, new_tags, put, rows, take};
use crate::aws::{ApiError, Params, text};
use crate::clock::rfc3339;
use crate::core::Ctx;
use serde_json::{Value, json};

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "CreateLaunchTemplate" => create(ctx, call),
        "CreateLaunchTemplateVersion" => create_version(ctx, call),
        "DescribeLaunchTemplateVersions" => versions(ctx, call),
        "ModifyLaunchTemplate" => modify(ctx, call),
        "DeleteLaunchTemplate" => delete(ctx, call),
        _ => return None,
    })
}

pub(super) fn list_of(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    if let Some(name) = call.param("LaunchTemplateName.1") {
        let found = by_name(ctx, call, name)?;
        return Ok(json!({ "launchTemplates": [super::public(found)] }));
    }
    super::list_of(ctx, call, &TEMPLATE)
}

fn by_name(ctx: &Ctx<'_>, call: &Call<'_>, name: &str) -> Answer {
    let found = rows(ctx, call, &TEMPLATE).into_iter().find(|t| t["launchTemplateName"] == name);
    found.ok_or_else(|| {
        let text = "At least one of the launch templates specified in the request does not exist.";
        error("InvalidLaunchTemplateName.NotFoundException", text)
    })
}

fn wanted(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    match call.param("LaunchTemplateId") {
        Some(id) => find(ctx, call, &TEMPLATE, id),
        None => by_name(ctx, call, call.need("LaunchTemplateName")?),
    }
}

/// The nested parameters under a prefix, with the names that answers have: first letter small, lists as `..Set`.
fn nested(params: &Params, prefix: &str) -> Value {
    let mut out = json!({});
    for (key, value) in params {
        let Some(rest) = key.strip_prefix(prefix).and_then(|r| r.strip_prefix('.')) else { continue };
        let mut at = &mut out;
        let parts: Vec<&str> = rest.split('.').collect();
        let mut n = 0;
        while n < parts.len() {
            let mut name = parts[n].to_owned();
            if let Some(first) = name.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            let index = parts.get(n + 1).and_then(|p| p.parse::<usize>().ok());
            match index {
                Some(index) => {
                    let name = if name.ends_with("Set") { name } else { format!("{name}Set") };
                    if !at[&name].is_array() {
                        at[&name] = json!([]);
                    }
                    let items = at[&name].as_array_mut().expect("invariant: made a line above");
                    while items.len() < index {
                        items.push(Value::Null);
                    }
                    at = &mut items[index - 1];
                    n += 2;
                }
                None => {
                    at = &mut at[&name];
                    n += 1;
                }
            }
        }
        *at = value.clone().into();
    }
    out
}

fn version(ctx: &Ctx<'_>, call: &Call<'_>, template: &Value, number: u64) -> Value {
    json!({
        "launchTemplateId": template["launchTemplateId"], "launchTemplateName": template["launchTemplateName"],
        "versionNumber": number, "versionDescription": call.param("VersionDescription"),
        "createTime": rfc3339(ctx.now), "createdBy": format!("arn:aws:iam::{}:root", call.account),
        "launchTemplateData": nested(call.params, "LaunchTemplateData"),
    })
}

fn create(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let name = call.need("LaunchTemplateName")?;
    let token = call.param("ClientToken");
    if let Ok(before) = by_name(ctx, call, name) {
        if token.is_some() && before["_token"].as_str() == token {
            return Ok(json!({ "launchTemplate": super::public(before) }));
        }
        return Err(error(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(fits) {
        return Err(error(
            "InvalidLaunchTemplateName.MalformedException",
            "The specified launch template name is malformed.",
        ));
    }
    let mut row = json!({
        "launchTemplateId": fresh_id(&TEMPLATE), "launchTemplateName": name, "createTime": rfc3339(ctx.now),
        "createdBy": format!("arn:aws:iam::{}:root", call.account), "defaultVersionNumber": 1,
        "latestVersionNumber": 1, "tagSet": new_tags(call, &TEMPLATE), "_token": token, "_made": ctx.now,
    });
    row["_versions"] = json!([version(ctx, call, &row, 1)]);
    put(ctx, call, &TEMPLATE, row.clone());
    Ok(json!({ "launchTemplate": super::public(row) }))
}

fn create_version(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let row = wanted(ctx, call)?;
    let id = text(&row, "launchTemplateId");
    let number = row["latestVersionNumber"].as_u64().unwrap_or(0) + 1;
    let fresh = version(ctx, call, &row, number);
    edit(ctx, call, &TEMPLATE, &id, |row| {
        row["latestVersionNumber"] = number.into();
        if let Some(all) = row["_versions"].as_array_mut() {
            all.push(fresh.clone());
        }
    })?;
    Ok(json!({ "launchTemplateVersion": fresh }))
}

/// The number that `$Latest`, `$Default` or a number means.
fn number(row: &Value, given: &str) -> Result<Value, ApiError> {
    let number = match given {
        "$Latest" => row["latestVersionNumber"].clone(),
        "$Default" => row["defaultVersionNumber"].clone(),
        other => other.parse::<u64>().map_or(Value::Null, Value::from),
    };
    let there = row["_versions"].as_array().is_some_and(|v| v.iter().any(|v| v["versionNumber"] == number));
    if there {
        Ok(number)
    } else {
        Err(error(
            "InvalidLaunchTemplateId.VersionNotFound",
            format!("Could not find launch template version {given}"),
        ))
    }
}

fn versions(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    let row = wanted(ctx, call)?;
    let default = row["defaultVersionNumber"].clone();
    let given = super::values(call.params, "LaunchTemplateVersion");
    let numbers: Vec<Value> = given.iter().map(|g| number(&row, g)).collect::<Result<_, _>>()?;
    let all = row["_versions"].as_array().cloned().unwrap_or_default();
    let kept: Vec<Value> = all
        .into_iter()
        .filter(|v| numbers.is_empty() || numbers.contains(&v["versionNumber"]))
        .map(|mut v| {
            v["defaultVersion"] = (v["versionNumber"] == default).into();
            v
        })
        .collect();
    Ok(json!({ "launchTemplateVersionSet": kept }))
}

fn modify(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let row = wanted(ctx, call)?;
    let default = number(&row, call.need("SetDefaultVersion")?)?;
    let id = text(&row, "launchTemplateId");
    edit(ctx, call, &TEMPLATE, &id, |row| row["defaultVersionNumber"] = default)?;
    Ok(json!({ "launchTemplate": super::public(find(ctx, call, &TEMPLATE, &id)?) }))
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let row = wanted(ctx, call)?;
    take(ctx, call, &TEMPLATE, &text(&row, "launchTemplateId"));
    Ok(json!({ "launchTemplate": super::public(row) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_the_tree_that_answers_show() {
        let params: Params = [
            ("LaunchTemplateData.ImageId", "ami-1"),
            ("LaunchTemplateData.BlockDeviceMapping.1.Ebs.VolumeSize", "20"),
            ("LaunchTemplateData.TagSpecification.1.Tag.2.Key", "b"),
            ("LaunchTemplateData.SecurityGroupId.1", "sg-1"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        assert_eq!(
            nested(&params, "LaunchTemplateData"),
            json!({
                "imageId": "ami-1",
                "blockDeviceMappingSet": [{"ebs": {"volumeSize": "20"}}],
                "tagSpecificationSet": [{"tagSet": [null, {"key": "b"}]}],
                "securityGroupIdSet": ["sg-1"],
            })
        );
    }
}
