//! Two gateways that count as one, through a Redis server that the test starts.

use crate::redis_server::Server;
use crate::support::{Gateway, eventually, gateway, hello, toml};

/// README's recipe, with a server and a patience of the test's own.
fn recipe(server: &Server, quota: u32) -> String {
    let readme = include_str!("../../../../README.md");
    let start = readme.find("```toml\n[[rate_limit]]").expect("the recipe stands in README.md") + "```toml\n".len();
    let recipe = readme[start..].split("```").next().unwrap();
    let changes = [("redis://127.0.0.1:6379", server.url()), ("25ms", String::from("5s"))];
    let recipe = changes.iter().fold(recipe.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the recipe");
        text.replace(from, to)
    });
    recipe.replace("quota = 100", &format!("quota = {quota}"))
}

async fn two(server: &Server, quota: u32) -> [Gateway; 2] {
    let (upstream, _) = hello().await;
    let text = toml(upstream, &format!("admin_listen = \"127.0.0.1:0\"\n{}", recipe(server, quota)));
    [gateway(&text).await, gateway(&text).await]
}

#[tokio::test]
async fn four_hundred_at_once_of_which_a_hundred_pass() {
    let Some(server) = Server::start().await else { return };
    let gateways = two(&server, 100).await;
    let requests = (0..400).map(|turn| gateways[turn % 2].get("/"));
    let answers = futures_util::future::join_all(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 100);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 300);
    let metrics = String::from_utf8(gateways[0].admin("/-/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("rampart_rate_limit_store_asked_total"), "{metrics}");
}

#[tokio::test]
async fn both_answer_while_the_server_is_gone() {
    let Some(server) = Server::start().await else { return };
    let gateways = two(&server, 10).await;
    assert_eq!(gateways[0].get("/").await.headers["ratelimit"], "\"default\";r=9;t=90");
    assert_eq!(gateways[1].get("/").await.headers["ratelimit-policy"], "\"default\";q=10;w=900");
    drop(server);
    for gateway in &gateways {
        let mut admitted = 0;
        eventually(async || gateway.get("/").await.headers["ratelimit-policy"] == "\"default\";q=5;w=900").await;
        for _ in 0..10 {
            let status = gateway.get("/").await.status;
            assert!(matches!(status, 200 | 429), "{status}");
            admitted += usize::from(status == 200);
        }
        assert!(admitted <= 4, "half of ten, of which two were used: {admitted}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_is_said_with_its_line() {
    use crate::support::{command, nobody};
    for (table, said) in [
        ("url = \"http://sesame\"", "rate_limit_store.url"),
        ("url = \"redis://127.0.0.1\"\ntimeout = \"0s\"", "rate_limit_store.timeout"),
        ("url = \"redis://127.0.0.1\"\ninstances = 0", "rate_limit_store.instances"),
        ("url = \"redis://127.0.0.1,127.0.0.2\"", "redis+cluster://host:6379,host:6380"),
        ("url = \"redis+cluster://127.0.0.1,127.0.0.2/1\"", "write nothing after the nodes"),
        ("url_env = \"NOBODY_SETS_THIS\"", "NOBODY_SETS_THIS"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, toml(nobody().await, &format!("[rate_limit_store]\n{table}\n"))).unwrap();
        let output = command().arg("--config").arg(&file).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said) && !text.contains("sesame"), "{text}");
    }
}
