//! What the server answers to: one table of routes, from which both the router and the description are made.
//!
//! - [`route`]: one row. [`table`]: all rows. [`document`]: the rows as OpenAPI 3.1.

mod document;
mod route;
mod table;

pub(super) use route::Route;
pub(super) use table::routes;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::document::document;
    use super::*;

    fn described() -> (Value, BTreeSet<(String, String)>) {
        let document = document(&routes());
        let paths = document["paths"].as_object().unwrap().iter();
        let of = |(path, item): (&String, &Value)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
        };
        let all = paths.flat_map(of).collect();
        (document, all)
    }

    #[test]
    fn what_is_described_and_what_is_routed_are_the_same() {
        let table: Vec<_> = routes().iter().map(|r| (r.method.to_string(), r.path.to_string())).collect();
        let (_, described) = described();
        assert_eq!(table.iter().cloned().collect::<BTreeSet<_>>(), described);
        assert_eq!(table.len(), described.len(), "a route stands in the table twice");
        // And nothing is routed past the table.
        let mut past = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, text| {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let routed =
                code.matches(".route(").count() + code.matches(".nest(").count() + code.matches(".merge(").count();
            let allowed = usize::from(path.ends_with("daemon/server.rs"));
            past.extend(
                (routed > allowed && path.components().any(|c| c.as_os_str() == "daemon")).then(|| path.to_path_buf()),
            );
        });
        assert!(past.is_empty(), "routes belong into the table of `openapi`: {past:?}");
    }

    fn sources(dir: &Path, look: &mut impl FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, look);
            } else if path.extension().is_some_and(|e| e == "rs") {
                look(&path, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_word_in_a_path_is_declared() {
        let (document, _) = described();
        let mut refs = Vec::new();
        references(&document, &mut refs);
        assert!(refs.len() > 100, "{}", refs.len());
        for at in refs {
            let pointer = at.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{at} leads nowhere");
        }
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_string()), "{operation}");
                let declared = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_path = declared.iter().filter(|p| p["in"] == "path").count();
                assert_eq!(in_path, path.matches('{').count(), "{path}");
                assert!(operation["responses"]["400"].is_object() && operation["summary"].is_string(), "{path}");
            }
        }
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(keys) => {
                found.extend(keys.get("$ref").and_then(Value::as_str).map(String::from));
                keys.values().for_each(|v| references(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }

    #[test]
    fn the_types_are_those_of_the_contract() {
        let (document, _) = described();
        let shapes = &document["components"]["schemas"];
        for key in ["id", "name", "health", "attention", "reason", "leader_pid", "idle_seconds", "exit"] {
            assert!(shapes["Session"]["properties"][key].is_object(), "{key}: {}", shapes["Session"]);
        }
        let start = &document["paths"]["/api/session/start"]["post"];
        assert_eq!(start["requestBody"]["required"], false);
        assert!(start["responses"]["201"].is_object() && start["responses"]["429"].is_object());
        assert_eq!(document["paths"]["/api/act"]["post"]["requestBody"]["required"], true);
        let newer = document["paths"]["/api/sessions"]["get"]["parameters"].as_array().unwrap();
        assert!(newer.iter().any(|p| p["name"] == "newer_than" && p["required"] == false), "{newer:?}");
        assert!(shapes["Event"].to_string().contains("session_cleanup"), "{}", shapes["Event"]);
    }
}
