//! A fresh database for each test, on SQLite or PostgreSQL.

use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbErr, QueryResult, Statement};

use rollcall::store::{PATIENCE, Store, StoreOptions};

/// Names the server for the tests; `script/postgres` sets it.
const POSTGRES_URL: &str = "ROLLCALL_TEST_POSTGRES_URL";
/// The advisory lock under which the template is made: each test is a process of its own.
const TEMPLATE_LOCK: i64 = 0x0074_656d_706c_6174;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

/// A database that nobody else uses. On PostgreSQL it is dropped by [`TestDatabase::remove`].
#[derive(Debug)]
pub struct TestDatabase {
    kind: Db,
    url: String,
    name: String,
}

impl TestDatabase {
    /// Makes one: a file in `dir`, or a copy of a migrated template.
    pub async fn make(kind: Db, dir: &Path) -> Self {
        match kind {
            Db::Sqlite => {
                Self { kind, url: format!("sqlite:{}", dir.join("rollcall.db").display()), name: String::new() }
            }
            Db::Postgres => {
                let server = server_url();
                let template = template(&server).await;
                let name = format!("t_{}", rollcall::base::Ambient::system().id::<uuid::Uuid>().simple());
                let admin = connect(&server).await;
                run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}"))
                    .await
                    .expect("the template is copied");
                admin.close().await.expect("close");
                Self { kind, url: with_database(&server, &name), name }
            }
        }
    }

    /// As `ROLLCALL_DATABASE_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection beside the server's own, as another program would have it.
    pub async fn connect(&self) -> Sql {
        let url = match self.kind {
            Db::Sqlite => format!("{}?mode=rw", self.url.replacen("sqlite:", "sqlite://", 1)),
            Db::Postgres => self.url.clone(),
        };
        Sql(connect(&url).await)
    }

    pub async fn remove(&self) {
        if self.kind == Db::Postgres {
            let admin = connect(&server_url()).await;
            run(&admin, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
                .await
                .expect("the database is dropped");
            admin.close().await.expect("close");
        }
    }
}

/// Statements as text, for what only the database itself can tell.
#[derive(Debug)]
pub struct Sql(DatabaseConnection);

impl Sql {
    /// Runs one statement.
    pub async fn run(&self, sql: &str) -> Result<(), DbErr> {
        run(&self.0, sql).await
    }

    /// The first column of the first row.
    pub async fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        rows.first().expect("a row").try_get_by_index(0).expect("a number")
    }

    /// The first column of all rows.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql).await.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
    }

    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        self.0.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// The server's URL. Without one the PostgreSQL half of a test fails: a test that is skipped proves nothing.
#[expect(clippy::disallowed_methods, reason = "where the test server is, is the environment's to say")]
fn server_url() -> String {
    std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES_URL} is not set. Run the tests with script/test, or as `script/postgres cargo nextest run`: it \
             starts a PostgreSQL for the run. To run on SQLite only: `cargo nextest run -E 'not test(/::postgres$/)'`."
        )
    })
}

fn with_database(server: &str, database: &str) -> String {
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(database);
    url.into()
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

async fn run(connection: &DatabaseConnection, sql: &str) -> Result<(), DbErr> {
    connection.execute_unprepared(sql).await.map(drop)
}

/// A migrated, empty database to copy from. The first test of a run makes it; copying is much quicker than migrating.
async fn template(server: &str) -> String {
    let name = format!("template_{}", migrations());
    let admin = connect(server).await;
    let exists = format!("SELECT datname FROM pg_database WHERE datname = '{name}'");
    let exists = Statement::from_string(admin.get_database_backend(), exists);
    if admin.query_one_raw(exists.clone()).await.expect("databases").is_some() {
        admin.close().await.expect("close");
        return name;
    }
    run(&admin, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await.expect("lock");
    if admin.query_one_raw(exists).await.expect("databases").is_none() {
        // Built under another name, so that nobody takes a half-migrated one for the template.
        let draft = format!("{name}_draft");
        run(&admin, &format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)")).await.expect("drop");
        run(&admin, &format!("CREATE DATABASE {draft}")).await.expect("create");
        let url = with_database(server, &draft).into();
        let options = StoreOptions::Postgres { url, connections: 2, patience: PATIENCE };
        Store::open(&options).await.expect("migrate").close().await.expect("close");
        run(&admin, &format!("ALTER DATABASE {draft} RENAME TO {name}")).await.expect("rename");
    }
    admin.close().await.expect("close");
    name
}

/// A name for the present set of migrations: a server that outlives a run may hold the template of another one.
fn migrations() -> String {
    use sha2::Digest as _;
    let source =
        concat!(include_str!("../../../migration/src/lib.rs"), include_str!("../../../migration/src/m0001_first.rs"));
    hex::encode(&sha2::Sha256::digest(source.as_bytes())[..8])
}
