BEGIN TRANSACTION;
CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            origin TEXT NOT NULL,
            batch TEXT,
            state TEXT NOT NULL,
            created INTEGER NOT NULL,
            remote TEXT,
            branch TEXT,
            document TEXT NOT NULL
        );
INSERT INTO "runs" VALUES(1,'01M8KXB19QNM2GVY4RZYWYQ8MV','01M8KXB19QNM2GVY4RZYWYQ8MV','01M8KXB19QNM2GVY4RZYWYQ8MT','succeeded',1795964634423,'/tmp/ccterm-demo/shop.git','docs/install','{"id":"01M8KXB19QNM2GVY4RZYWYQ8MV","batch":"01M8KXB19QNM2GVY4RZYWYQ8MT","task":{"prompt":"{\"script\": [{\"say\": \"I''ll add the missing install section to the README.\"}, {\"append\": \"README.md\", \"text\": \"\\n## Install\\n\\n    pip install shop\\n\"}, {\"say\": \"The README now says how to install the shop.\"}]}","repo":"/tmp/ccterm-demo/shop.git","remote":"/tmp/ccterm-demo/shop.git","remote_key":"/tmp/ccterm-demo/shop.git","branch":"docs/install","base":null,"base_given":false,"mode":"pipeline","execution_mode":"local","agent":"scripted","model":null,"agent_args":[],"message":"Say how to install the shop","limits":{"wall_seconds":3600.0,"silence_seconds":900.0,"budget_usd":null,"max_turns":null},"setup":null,"setup_inputs":["package.json","package-lock.json","npm-shrinkwrap.json","pnpm-lock.yaml","yarn.lock","bun.lock","bun.lockb","pyproject.toml","requirements*.txt","requirements*.lock","uv.lock","poetry.lock","Pipfile","Pipfile.lock","setup.py","setup.cfg","Cargo.toml","Cargo.lock","go.mod","go.sum","Gemfile","Gemfile.lock","composer.json","composer.lock","pom.xml","build.gradle*","mix.exs","mix.lock"],"verify":null,"checkout":{"depth":null,"filter":null,"submodules":false,"lfs":false},"image":{"reference":null,"dockerfile":null},"hold":false,"skip_permissions":false,"allow_default_branch":false,"allow":{"deletions":null,"lines":null,"files":null,"paths":[]},"yes":false,"include":[],"notes":["local mode is no isolation: the agent runs on this machine as you"]},"state":"succeeded","held":null,"cause":null,"reason":"","summary":"The README now says how to install the shop.","action":"","created":"2026-11-29T15:03:54.423000Z","started":"2026-11-29T15:03:54.554000Z","finished":"2026-11-29T15:03:57.724000Z","seconds":3.17,"steps":[{"name":"resolve","ok":true,"seconds":0.413,"detail":"77dc094a24b7"},{"name":"checkout","ok":true,"seconds":0.422,"detail":"fetched"},{"name":"agent","ok":true,"seconds":0.82,"detail":"The README now says how to install the shop."},{"name":"harvest","ok":true,"seconds":0.551,"detail":"1 file +4 -0"},{"name":"policy","ok":true,"seconds":0.003,"detail":"fine"},{"name":"publish","ok":true,"seconds":0.522,"detail":"proven"}],"base_sha":"77dc094a24b7d8586a151163dbcd415a01377a4a","commit":"fe6ddaf08054f5684d5f5bc926aaf69e14a988b1","published":{"remote":"/tmp/ccterm-demo/shop.git","ref":"refs/heads/docs/install","sha":"fe6ddaf08054f5684d5f5bc926aaf69e14a988b1","proven":true},"synced":null,"changes":{"files":1,"added":4,"removed":0,"deleted":0},"verdict":{"ok":true,"findings":[],"numbers":{"files":1,"deleted":0,"retyped":0,"gutted":0,"renamed":0,"removed":0}},"cost_usd":0.0084,"tokens":{"input":3600,"output":120,"cache":0},"turns":3,"session_id":"61dbc588-f50c-4910-96ee-6636ab3f6be5","salvage":null,"waiting_until":null,"asked":false,"secret_seen":false,"reviewed":false,"pr":null,"continues":null,"attempts":["01M8KXB19QNM2GVY4RZYWYQ8MV"],"manifest":{"executor":"local","image":null,"cli_version":"2.1.330","settings_hash":"50ab5327e8b2","egress":"open","credential":"none","skip_permissions":false}}');
CREATE INDEX runs_state ON runs (state);
CREATE INDEX runs_origin ON runs (origin);
CREATE INDEX runs_batch ON runs (batch);
CREATE INDEX runs_created ON runs (created);
CREATE INDEX runs_branch ON runs (remote, branch);
COMMIT;
PRAGMA user_version = 1;
