CREATE TABLE `api_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`sha256` text NOT NULL,
	`service` text NOT NULL,
	`description` text NOT NULL,
	`scopes` text NOT NULL,
	`requests_per_minute` real,
	`origin` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer,
	`revoked_by` text,
	`last_used_at` integer,
	`usage_count` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_by_sha256` ON `api_keys` (`sha256`);--> statement-breakpoint
CREATE INDEX `api_keys_by_service` ON `api_keys` (`service`);--> statement-breakpoint
CREATE TABLE `attribute_sets` (
	`id` integer PRIMARY KEY NOT NULL,
	`key` blob,
	`last_seen` integer NOT NULL,
	`type` integer NOT NULL,
	`success` numeric,
	`method` text,
	`server` text,
	`tool_name` text,
	`server_name` text,
	`server_path` text,
	`error_code` text,
	`flow_step` text,
	`operation` text,
	`resource_type` text,
	`endpoint` text,
	`status_code` text,
	`healthy` numeric,
	`metric_name` text,
	`labels` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `attribute_sets_by_key` ON `attribute_sets` (`key`);--> statement-breakpoint
CREATE INDEX `attribute_sets_by_success` ON `attribute_sets` (`type`,`success`);--> statement-breakpoint
CREATE INDEX `attribute_sets_by_method` ON `attribute_sets` (`type`,`method`);--> statement-breakpoint
CREATE INDEX `attribute_sets_by_tool` ON `attribute_sets` (`type`,`tool_name`);--> statement-breakpoint
CREATE TABLE `clients` (
	`id` integer PRIMARY KEY NOT NULL,
	`key` blob,
	`last_seen` integer NOT NULL,
	`client_name` text,
	`client_version` text,
	`labels` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `clients_by_key` ON `clients` (`key`);--> statement-breakpoint
CREATE INDEX `clients_by_name` ON `clients` (`client_name`);--> statement-breakpoint
CREATE TABLE `event_counts` (
	`type` integer PRIMARY KEY NOT NULL,
	`count` integer NOT NULL,
	`deleted_before` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `events` (
	`id` integer PRIMARY KEY NOT NULL,
	`type` integer NOT NULL,
	`timestamp` integer NOT NULL,
	`attribute_set_id` integer NOT NULL,
	`resource_id` integer NOT NULL,
	`client_id` integer,
	`shape_id` integer,
	`received_after` integer NOT NULL,
	`value` real NOT NULL,
	`duration_ms` real,
	`request_id` blob NOT NULL,
	`emitter_request` blob,
	`user_hash` text,
	`text_1` text,
	`number_1` numeric,
	`number_2` numeric,
	`number_3` numeric,
	`number_4` numeric,
	`number_5` numeric,
	`fields` text
);
--> statement-breakpoint
CREATE INDEX `events_by_time` ON `events` (`timestamp`,`type`);--> statement-breakpoint
CREATE INDEX `events_by_attribute_set` ON `events` (`attribute_set_id`,`timestamp`);--> statement-breakpoint
CREATE INDEX `events_by_client` ON `events` (`client_id`,`timestamp`) WHERE "events"."client_id" is not null;--> statement-breakpoint
CREATE INDEX `auth_events_by_user` ON `events` (`user_hash`,`timestamp`) WHERE "events"."type" = 1;--> statement-breakpoint
CREATE INDEX `tool_events_by_user` ON `events` (`user_hash`,`timestamp`) WHERE "events"."type" = 2;--> statement-breakpoint
CREATE INDEX `discovery_events_by_time` ON `events` (`timestamp`) WHERE "events"."type" = 3;--> statement-breakpoint
CREATE INDEX `discovery_events_by_results` ON `events` (`number_1`) WHERE "events"."type" = 3;--> statement-breakpoint
CREATE TABLE `import_anchors` (
	`id` integer PRIMARY KEY NOT NULL,
	`lineage` integer NOT NULL,
	`source_table` text NOT NULL,
	`source_id` integer NOT NULL,
	`digest` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `import_anchors_by_row` ON `import_anchors` (`source_table`,`source_id`,`digest`);--> statement-breakpoint
CREATE TABLE `resources` (
	`id` integer PRIMARY KEY NOT NULL,
	`key` blob,
	`last_seen` integer NOT NULL,
	`service` text NOT NULL,
	`service_version` text,
	`instance_id` text,
	`key_service` text NOT NULL,
	`attributes` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `resources_by_key` ON `resources` (`key`);--> statement-breakpoint
CREATE TABLE `retention_policies` (
	`table_name` text PRIMARY KEY NOT NULL,
	`retention_days` integer NOT NULL,
	`is_active` integer NOT NULL,
	`is_custom` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `rollup_daily` (
	`bucket` integer NOT NULL,
	`series_id` integer NOT NULL,
	`count` integer NOT NULL,
	`sum` real NOT NULL,
	`min` real NOT NULL,
	`max` real NOT NULL,
	`duration_count` integer NOT NULL,
	`duration_sum_ms` real NOT NULL,
	`duration_min_ms` real,
	`duration_max_ms` real,
	`histogram` text NOT NULL,
	PRIMARY KEY(`bucket`, `series_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `rollup_hourly` (
	`bucket` integer NOT NULL,
	`series_id` integer NOT NULL,
	`count` integer NOT NULL,
	`sum` real NOT NULL,
	`min` real NOT NULL,
	`max` real NOT NULL,
	`duration_count` integer NOT NULL,
	`duration_sum_ms` real NOT NULL,
	`duration_min_ms` real,
	`duration_max_ms` real,
	`histogram` text NOT NULL,
	PRIMARY KEY(`bucket`, `series_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `rollup_series` (
	`id` integer PRIMARY KEY NOT NULL,
	`key` blob NOT NULL,
	`last_seen` integer NOT NULL,
	`type` integer NOT NULL,
	`service` text,
	`success` numeric,
	`method` text,
	`server` text,
	`tool_name` text,
	`server_name` text,
	`client_name` text,
	`error_code` text,
	`flow_step` text,
	`operation` text,
	`resource_type` text,
	`endpoint` text,
	`status_code` text,
	`healthy` numeric,
	`metric_name` text,
	`overflow` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `rollup_series_by_key` ON `rollup_series` (`key`);--> statement-breakpoint
CREATE TABLE `shapes` (
	`id` integer PRIMARY KEY NOT NULL,
	`key` blob,
	`last_seen` integer NOT NULL,
	`dimensions` text NOT NULL,
	`metadata` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `shapes_by_key` ON `shapes` (`key`);--> statement-breakpoint
CREATE TABLE `writer_state` (
	`id` integer PRIMARY KEY NOT NULL,
	`journal_id` text,
	`sequence` integer NOT NULL,
	`count` integer NOT NULL,
	`dictionary_generation` integer NOT NULL,
	`key_generation` integer NOT NULL
);
