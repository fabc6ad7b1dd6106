-- Every event, whatever its type.
CREATE VIEW metrics AS SELECT
  e.id,
  CASE typeof(e.request_id) WHEN 'blob' THEN 'req_' || lower(hex(e.request_id)) ELSE e.request_id END AS request_id,
  (SELECT r.service FROM resources r WHERE r.id = e.resource_id) AS service,
  (SELECT r.service_version FROM resources r WHERE r.id = e.resource_id) AS service_version,
  (SELECT r.instance_id FROM resources r WHERE r.id = e.resource_id) AS instance_id,
  (SELECT r.key_service FROM resources r WHERE r.id = e.resource_id) AS key_service,
  CASE e.type WHEN 1 THEN 'auth_request' WHEN 2 THEN 'tool_execution' WHEN 3 THEN 'tool_discovery' WHEN 4 THEN 'protocol_latency' WHEN 5 THEN 'registry_operation' WHEN 6 THEN 'health_check' WHEN 7 THEN 'custom' END AS metric_type,
  e.timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch') AS time,
  e.value,
  e.duration_ms,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'd' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.dimensions) k WHERE h.id = e.shape_id) END AS dimensions,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'm' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.metadata) k WHERE h.id = e.shape_id) END AS metadata,
  strftime('%Y-%m-%dT%H:%M:%fZ', (e.timestamp + e.received_after) / 1000.0, 'unixepoch') AS created_at
FROM events e;
--> statement-breakpoint
-- A left join that a WHERE on its columns turns around: the look-up starts from the attribute sets then.
CREATE VIEW auth_metrics AS SELECT
  e.id,
  CASE typeof(e.request_id) WHEN 'blob' THEN 'req_' || lower(hex(e.request_id)) ELSE e.request_id END AS request_id,
  (SELECT r.service FROM resources r WHERE r.id = e.resource_id) AS service,
  (SELECT r.service_version FROM resources r WHERE r.id = e.resource_id) AS service_version,
  (SELECT r.instance_id FROM resources r WHERE r.id = e.resource_id) AS instance_id,
  (SELECT r.key_service FROM resources r WHERE r.id = e.resource_id) AS key_service,
  e.timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch') AS time,
  e.value,
  e.duration_ms,
  s.success,
  s.method,
  s.server,
  e.user_hash,
  s.error_code,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'd' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.dimensions) k WHERE h.id = e.shape_id) END AS dimensions,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'm' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.metadata) k WHERE h.id = e.shape_id) END AS metadata,
  strftime('%Y-%m-%dT%H:%M:%fZ', (e.timestamp + e.received_after) / 1000.0, 'unixepoch') AS created_at
FROM events e
LEFT JOIN attribute_sets s ON s.id = e.attribute_set_id AND s.type = 1
WHERE e.type = 1;
--> statement-breakpoint
-- Tool executions.
CREATE VIEW tool_metrics AS SELECT
  e.id,
  CASE typeof(e.request_id) WHEN 'blob' THEN 'req_' || lower(hex(e.request_id)) ELSE e.request_id END AS request_id,
  (SELECT r.service FROM resources r WHERE r.id = e.resource_id) AS service,
  (SELECT r.service_version FROM resources r WHERE r.id = e.resource_id) AS service_version,
  (SELECT r.instance_id FROM resources r WHERE r.id = e.resource_id) AS instance_id,
  (SELECT r.key_service FROM resources r WHERE r.id = e.resource_id) AS key_service,
  e.timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch') AS time,
  e.value,
  e.duration_ms,
  s.tool_name,
  s.server_name,
  s.server_path,
  s.method,
  c.client_name,
  c.client_version,
  s.success,
  s.error_code,
  e.number_1 AS input_size_bytes,
  e.number_2 AS output_size_bytes,
  e.user_hash,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'd' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.dimensions) k WHERE h.id = e.shape_id) END AS dimensions,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'm' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.metadata) k WHERE h.id = e.shape_id) END AS metadata,
  strftime('%Y-%m-%dT%H:%M:%fZ', (e.timestamp + e.received_after) / 1000.0, 'unixepoch') AS created_at
FROM events e
LEFT JOIN attribute_sets s ON s.id = e.attribute_set_id AND s.type = 2
LEFT JOIN clients c ON c.id = e.client_id
WHERE e.type = 2;
--> statement-breakpoint
-- Tool discovery.
CREATE VIEW discovery_metrics AS SELECT
  e.id,
  CASE typeof(e.request_id) WHEN 'blob' THEN 'req_' || lower(hex(e.request_id)) ELSE e.request_id END AS request_id,
  (SELECT r.service FROM resources r WHERE r.id = e.resource_id) AS service,
  (SELECT r.service_version FROM resources r WHERE r.id = e.resource_id) AS service_version,
  (SELECT r.instance_id FROM resources r WHERE r.id = e.resource_id) AS instance_id,
  (SELECT r.key_service FROM resources r WHERE r.id = e.resource_id) AS key_service,
  e.timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch') AS time,
  e.value,
  e.duration_ms,
  e.text_1 AS query,
  e.number_1 AS results_count,
  e.number_2 AS top_k_services,
  e.number_3 AS top_n_tools,
  e.number_4 AS embedding_time_ms,
  e.number_5 AS faiss_search_time_ms,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'd' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.dimensions) k WHERE h.id = e.shape_id) END AS dimensions,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'm' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.metadata) k WHERE h.id = e.shape_id) END AS metadata,
  strftime('%Y-%m-%dT%H:%M:%fZ', (e.timestamp + e.received_after) / 1000.0, 'unixepoch') AS created_at
FROM events e
WHERE e.type = 3;
--> statement-breakpoint
-- Protocol latency, in seconds.
CREATE VIEW protocol_metrics AS SELECT
  e.id,
  CASE typeof(e.request_id) WHEN 'blob' THEN 'req_' || lower(hex(e.request_id)) ELSE e.request_id END AS request_id,
  (SELECT r.service FROM resources r WHERE r.id = e.resource_id) AS service,
  (SELECT r.service_version FROM resources r WHERE r.id = e.resource_id) AS service_version,
  (SELECT r.instance_id FROM resources r WHERE r.id = e.resource_id) AS instance_id,
  (SELECT r.key_service FROM resources r WHERE r.id = e.resource_id) AS key_service,
  e.timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch') AS time,
  e.value,
  e.duration_ms,
  s.flow_step,
  s.server_name,
  e.text_1 AS session_key,
  e.user_hash,
  e.value AS latency,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'd' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.dimensions) k WHERE h.id = e.shape_id) END AS dimensions,
  CASE WHEN e.shape_id IS NULL THEN e.fields -> 'm' ELSE (
    SELECT json_group_object(k.key, json(CASE k.value
      WHEN 'l' THEN (SELECT a.labels -> k.key FROM attribute_sets a WHERE a.id = e.attribute_set_id)
      WHEN 'c' THEN (SELECT x.labels -> k.key FROM clients x WHERE x.id = e.client_id)
      WHEN 'u' THEN json_quote(e.user_hash)
      WHEN 't' THEN json_quote(e.text_1)
      WHEN 'n1' THEN json_quote(e.number_1)
      WHEN 'n2' THEN json_quote(e.number_2)
      WHEN 'n3' THEN json_quote(e.number_3)
      WHEN 'n4' THEN json_quote(e.number_4)
      WHEN 'n5' THEN json_quote(e.number_5)
      WHEN 'v' THEN json_quote(e.value)
      WHEN 'q' THEN '"req_' || lower(hex(e.emitter_request)) || '"'
      ELSE e.fields -> k.value END))
    FROM shapes h, json_each(h.metadata) k WHERE h.id = e.shape_id) END AS metadata,
  strftime('%Y-%m-%dT%H:%M:%fZ', (e.timestamp + e.received_after) / 1000.0, 'unixepoch') AS created_at
FROM events e
LEFT JOIN attribute_sets s ON s.id = e.attribute_set_id AND s.type = 4
WHERE e.type = 4;
--> statement-breakpoint
-- Rollups by hour (its start, milliseconds UTC) and series.
CREATE VIEW metrics_hourly AS SELECT
  r.bucket AS hour,
  strftime('%Y-%m-%dT%H:%M:%SZ', r.bucket / 1000, 'unixepoch') AS time,
  s.service,
  CASE s.type WHEN 1 THEN 'auth_request' WHEN 2 THEN 'tool_execution' WHEN 3 THEN 'tool_discovery' WHEN 4 THEN 'protocol_latency' WHEN 5 THEN 'registry_operation' WHEN 6 THEN 'health_check' WHEN 7 THEN 'custom' END AS metric_type,
  s.success,
  s.method,
  s.server,
  s.tool_name,
  s.server_name,
  s.client_name,
  s.error_code,
  s.flow_step,
  s.operation,
  s.resource_type,
  s.endpoint,
  s.status_code,
  s.healthy,
  s.metric_name,
  s.overflow,
  r.count,
  r.sum AS sum_value,
  r.sum / r.count AS avg_value,
  r.min AS min_value,
  r.max AS max_value,
  r.duration_count,
  r.duration_sum_ms,
  r.duration_min_ms,
  r.duration_max_ms,
  r.histogram
FROM rollup_hourly r JOIN rollup_series s ON s.id = r.series_id;
--> statement-breakpoint
-- Rollups by day (its start, milliseconds UTC) and series.
CREATE VIEW metrics_daily AS SELECT
  r.bucket AS day,
  strftime('%Y-%m-%d', r.bucket / 1000, 'unixepoch') AS time,
  s.service,
  CASE s.type WHEN 1 THEN 'auth_request' WHEN 2 THEN 'tool_execution' WHEN 3 THEN 'tool_discovery' WHEN 4 THEN 'protocol_latency' WHEN 5 THEN 'registry_operation' WHEN 6 THEN 'health_check' WHEN 7 THEN 'custom' END AS metric_type,
  s.success,
  s.method,
  s.server,
  s.tool_name,
  s.server_name,
  s.client_name,
  s.error_code,
  s.flow_step,
  s.operation,
  s.resource_type,
  s.endpoint,
  s.status_code,
  s.healthy,
  s.metric_name,
  s.overflow,
  r.count,
  r.sum AS sum_value,
  r.sum / r.count AS avg_value,
  r.min AS min_value,
  r.max AS max_value,
  r.duration_count,
  r.duration_sum_ms,
  r.duration_min_ms,
  r.duration_max_ms,
  r.histogram
FROM rollup_daily r JOIN rollup_series s ON s.id = r.series_id;
--> statement-breakpoint
INSERT INTO writer_state (id, journal_id, sequence, count, dictionary_generation, key_generation) VALUES (1, NULL, 0, 0, 0, 0);
--> statement-breakpoint
INSERT INTO event_counts (type, count) VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0);
--> statement-breakpoint
-- Other processes see by key_generation that keys changed; counting uses does not raise it.
CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys BEGIN UPDATE writer_state SET key_generation = key_generation + 1 WHERE id = 1; END;
--> statement-breakpoint
CREATE TRIGGER api_keys_updated AFTER UPDATE OF id, sha256, service, description, scopes, requests_per_minute, origin, created_at, expires_at, revoked_at, revoked_by ON api_keys BEGIN UPDATE writer_state SET key_generation = key_generation + 1 WHERE id = 1; END;
--> statement-breakpoint
CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys BEGIN UPDATE writer_state SET key_generation = key_generation + 1 WHERE id = 1; END;
