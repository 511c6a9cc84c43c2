module llmops.local/model-server

go 1.24
