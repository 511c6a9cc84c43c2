module llmops.platform/bench/load_generator

go 1.22
