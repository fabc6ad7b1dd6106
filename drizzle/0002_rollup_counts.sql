CREATE TABLE `rollup_counts` (
	`table_name` text PRIMARY KEY NOT NULL,
	`count` integer NOT NULL
);
--> statement-breakpoint
INSERT INTO rollup_counts (table_name, count) VALUES ('rollup_hourly', (SELECT count(*) FROM rollup_hourly)), ('rollup_daily', (SELECT count(*) FROM rollup_daily));
--> statement-breakpoint
CREATE TRIGGER rollup_hourly_added AFTER INSERT ON rollup_hourly BEGIN UPDATE rollup_counts SET count = count + 1 WHERE table_name = 'rollup_hourly'; END;
--> statement-breakpoint
CREATE TRIGGER rollup_hourly_removed AFTER DELETE ON rollup_hourly BEGIN UPDATE rollup_counts SET count = count - 1 WHERE table_name = 'rollup_hourly'; END;
--> statement-breakpoint
CREATE TRIGGER rollup_daily_added AFTER INSERT ON rollup_daily BEGIN UPDATE rollup_counts SET count = count + 1 WHERE table_name = 'rollup_daily'; END;
--> statement-breakpoint
CREATE TRIGGER rollup_daily_removed AFTER DELETE ON rollup_daily BEGIN UPDATE rollup_counts SET count = count - 1 WHERE table_name = 'rollup_daily'; END;
