//! Finds the Redis or Valkey server that holds the log, and connects to it: a single server, the node of a cluster that
//! owns the log's keys, or the master that the sentinels name.

use crate::session::log::SessionsError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Value, cmd};
use std::time::Duration;

/// The time limits for a connection, and for a response. A follower waits for up to a second for further notices.
const CONNECT_TIME: Duration = Duration::from_secs(1);
const RESPONSE_TIME: Duration = Duration::from_secs(2);

/// The most redirects to another node of a cluster.
const REDIRECTS: usize = 4;

/// The addresses of a deployment, as in `redis://user:password@one:6379,two:6379/0`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisServers {
    /// `redis` or `rediss`.
    scheme: &'static str,
    /// The user and the password, with `@`.
    credentials: String,
    /// Host and port of each server or sentinel.
    hosts: Vec<String>,
    /// The database, with `/`.
    database: String,
    /// The name of the master that the sentinels watch.
    sentinel_master: Option<String>,
}

impl std::fmt::Debug for RedisServers {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisServers").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl RedisServers {
    /// Parses a URL. Several hosts are separated by commas: nodes of a cluster, or sentinels.
    pub(crate) fn parse(url: &str) -> Result<Self, SessionsError> {
        let invalid = |reason: &str| SessionsError::Url(reason.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or(invalid("it has no scheme"))?;
        let (scheme, sentinel) = match scheme {
            "redis" => ("redis", false),
            "rediss" => ("rediss", false),
            "redis+sentinel" => ("redis", true),
            "rediss+sentinel" => ("rediss", true),
            _ => {
                return Err(invalid(
                    "its scheme is not redis, rediss, redis+sentinel or rediss+sentinel",
                ));
            }
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (format!("{credentials}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if sentinel { 26379 } else { 6379 };
        let host = |host: &str| {
            let has_port =
                host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if has_port { host.to_owned() } else { format!("{host}:{default_port}") }
        };
        let hosts: Vec<String> = hosts.split(',').map(host).collect();
        if hosts.iter().any(|host| host.starts_with(':')) {
            return Err(invalid("a host is empty"));
        }
        let sentinel_master = sentinel.then(|| path.to_owned());
        if sentinel_master.as_ref().is_some_and(String::is_empty) {
            return Err(invalid("it names no master, as in redis+sentinel://host:26379/mymaster"));
        }
        let database = if sentinel || path.is_empty() { String::new() } else { format!("/{path}") };
        let servers = Self { scheme, credentials, hosts, database, sentinel_master };
        for host in &servers.hosts {
            Client::open(servers.url(host)).map_err(|error| invalid(&error.to_string()))?;
        }
        Ok(servers)
    }

    fn url(&self, host: &str) -> String {
        let Self { scheme, credentials, database, .. } = self;
        format!("{scheme}://{credentials}{host}{database}")
    }

    /// A connection of its own to the server that holds this key and accepts writes.
    pub(crate) async fn master_of(&self, key: &str) -> Result<MultiplexedConnection, RedisError> {
        let mut failure = RedisError::from((ErrorKind::Io, "no server is known"));
        for host in self.candidates().await? {
            match self.follow_redirects(host, key).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The hosts to try.
    async fn candidates(&self) -> Result<Vec<String>, RedisError> {
        let Some(master) = &self.sentinel_master else { return Ok(self.hosts.clone()) };
        let mut failure = RedisError::from((ErrorKind::Io, "no sentinel knows the master"));
        let mut masters = Vec::new();
        for sentinel in &self.hosts {
            let url = format!("{}://{sentinel}", self.scheme);
            let asked = async {
                let mut connection = connect(&url).await?;
                let mut question = cmd("SENTINEL");
                question.arg("get-master-addr-by-name").arg(master);
                question.query_async::<Option<(String, u16)>>(&mut connection).await
            };
            match asked.await {
                Ok(Some((host, port))) => {
                    let address = format!("{host}:{port}");
                    if !masters.contains(&address) {
                        masters.push(address);
                    }
                }
                Ok(None) => {}
                Err(error) => failure = error,
            }
        }
        if masters.is_empty() { Err(failure) } else { Ok(masters) }
    }

    async fn follow_redirects(
        &self,
        mut host: String,
        key: &str,
    ) -> Result<MultiplexedConnection, RedisError> {
        for _ in 0..REDIRECTS {
            let mut connection = connect(&self.url(&host)).await?;
            match cmd("EXISTS").arg(key).query_async::<Value>(&mut connection).await {
                Ok(_) => return check_role(connection).await,
                Err(error) => match error.redirect_node() {
                    Some((address, _slot)) => host = address.to_owned(),
                    None => return Err(error),
                },
            }
        }
        Err(RedisError::from((ErrorKind::Io, "too many redirects")))
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIME))
        .set_response_timeout(Some(RESPONSE_TIME));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// Only a master accepts writes.
async fn check_role(
    mut connection: MultiplexedConnection,
) -> Result<MultiplexedConnection, RedisError> {
    let role: Vec<Value> = cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(RedisError::from((ErrorKind::Io, "the server is a replica"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server_a_cluster_or_sentinels() {
        let of = |url: &str| RedisServers::parse(url).unwrap();
        let one = of("redis://localhost");
        assert_eq!(one.url(&one.hosts[0]), "redis://localhost:6379");
        let cluster = of("rediss://user:p%40ss@a:7000,b:7001/0");
        let urls: Vec<String> = cluster.hosts.iter().map(|host| cluster.url(host)).collect();
        assert_eq!(urls, ["rediss://user:p%40ss@a:7000/0", "rediss://user:p%40ss@b:7001/0"]);
        let sentinels = of("redis+sentinel://:secret@s1,s2:5000/main");
        assert_eq!(sentinels.hosts, ["s1:26379", "s2:5000"]);
        assert_eq!(sentinels.sentinel_master.as_deref(), Some("main"));
        assert!(!format!("{sentinels:?}").contains("secret"));
        for invalid in ["localhost", "http://a", "redis://", "redis://a,,b", "redis+sentinel://a"] {
            assert!(RedisServers::parse(invalid).is_err(), "{invalid}");
        }
    }
}
