// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "strings"

// kind says how an option takes values, in argparse's terms.
type kind int

const (
	isSwitch kind = iota // --x and --no-x
	isText
	isInt
	isFloat
	isLength // an integer, or "auto", -1, 4k, 4K
	isList   // one or more values
)

// optionNames are the options of `vllm serve` by kind. An option that is not here stops the start, as in the
// real server: a typing error in a chart must not pass the lab. Options that would change what this server
// does and that it cannot follow (--config, --uds, --grpc, --headless, --root-path) are left out on purpose.
var optionNames = map[kind]string{
	isSwitch: `
		aggregate-engine-logging allow-credentials allow-deprecated-quantization async-scheduling calculate-kv-scales
		cudagraph-metrics data-parallel-external-lb data-parallel-hybrid-lb data-parallel-multi-port-external-lb
		disable-cascade-attn disable-chunked-mm-input disable-custom-all-reduce disable-fastapi-docs
		disable-frontend-multiprocessing disable-hybrid-kv-cache-manager disable-log-requests disable-log-stats
		disable-nccl-for-dp-synchronization disable-sliding-window disable-uvicorn-access-log enable-auto-tool-choice
		enable-chunked-prefill enable-cumem-allocator enable-dbo enable-elastic-ep enable-ep-weight-filter enable-eplb
		enable-expert-parallel enable-flash-late-interaction enable-flashinfer-autotune enable-force-include-usage
		enable-layerwise-nvtx-tracing enable-log-deltas enable-log-outputs enable-log-requests
		enable-logging-iteration-details enable-lora enable-mamba-cache-stochastic-rounding enable-mfu-metrics
		enable-mixed-moe-lora-format enable-mm-embeds enable-offline-docs enable-per-request-metrics enable-prefix-caching
		enable-prompt-embeds enable-prompt-tokens-details enable-request-id-headers enable-return-routed-experts
		enable-server-load-tracking enable-sleep-mode enable-ssl-refresh enable-tokenizer-info-endpoint
		enable-tower-connector-lora enforce-eager exclude-tools-when-tool-choice-none fail-on-environ-validation
		fully-sharded-loras interleave-mm-strings jit-monitor-verbose kv-cache-metrics kv-sharing-fast-prefill
		language-model-only log-error-stack mm-encoder-only numa-bind ray-workers-use-nsight return-tokens-as-token-ids
		scheduler-reserve-full-isl skip-mm-profiling skip-tokenizer-init specialize-active-lora tokens-only
		trust-remote-code trust-request-chat-template use-fp64-gumbel use-tqdm-on-load`,
	isText: `
		additional-config all2all-backend allowed-headers allowed-local-media-path allowed-methods allowed-origins
		attention-backend attention-config chat-template chat-template-content-format code-revision
		collect-detailed-traces compilation-config config-format convert cpu-offload-params data-parallel-address
		data-parallel-backend dcp-comm-backend default-chat-template-kwargs default-mm-loras diffusion-config
		disable-access-log-for-endpoints distributed-executor-backend download-dir dtype ec-transfer-config eplb-config
		expert-placement-strategy fingerprint-mode fingerprint-value gdn-prefill-backend generation-config
		guided-decoding-backend hf-config-path hf-overrides hf-token host io-processor-plugin ir-op-priority
		kv-cache-dtype kv-events-config kv-offloading-backend kv-transfer-config limit-mm-per-prompt linear-backend
		load-format log-config-file logprobs-mode lora-dtype mamba-backend mamba-cache-dtype mamba-cache-mode
		mamba-ssm-cache-dtype master-addr media-io-kwargs mm-encoder-attn-backend mm-encoder-attn-dtype
		mm-encoder-tp-mode mm-processor-cache-type mm-processor-kwargs mm-tensor-ipc model model-impl
		model-loader-extra-config moe-backend offload-backend optimization-level otlp-traces-endpoint
		override-attention-dtype override-generation-config performance-mode pooler-config
		prefix-caching-hash-algo profiler-config pt-load-map-location quantization quantization-config
		reasoning-config reasoning-parser reasoning-parser-plugin response-role revision runner
		safetensors-load-strategy scheduler-cls scheduling-policy show-hidden-metrics-for-version spec-method
		spec-model speculative-config ssl-ca-certs ssl-cert-reqs ssl-certfile ssl-ciphers ssl-keyfile
		structured-outputs-config task tokenizer tokenizer-mode tokenizer-revision tool-call-parser tool-parser-plugin
		tool-server uvicorn-log-level weight-transfer-config worker-cls worker-extension-cls`,
	isInt: `
		api-server-count block-size cp-kv-cache-interleave-size cpu-distributed-timeout-seconds data-parallel-rank
		data-parallel-rpc-port data-parallel-size data-parallel-size-local data-parallel-start-rank
		dbo-decode-token-threshold dbo-prefill-token-threshold dcp-kv-cache-interleave-size
		decode-context-parallel-size distributed-timeout-seconds h11-max-header-count h11-max-incomplete-event-size
		mamba-block-size master-port max-cpu-loras max-cudagraph-capture-size max-log-len max-logprobs
		max-long-partial-prefills max-lora-rank max-loras max-num-partial-prefills max-num-seqs
		max-parallel-loading-workers nnodes node-rank num-gpu-blocks-override offload-group-size
		offload-num-in-group offload-prefetch-step pipeline-parallel-size port prefill-context-parallel-size
		renderer-num-workers seed shutdown-timeout spec-tokens stream-interval tensor-parallel-size ubatch-size`,
	isFloat: `
		cpu-offload-gb gpu-memory-utilization kv-cache-metrics-sample kv-offloading-size mm-processor-cache-gb
		swap-space video-pruning-rate watermark`,
	isLength: `
		kv-cache-memory-bytes long-prefill-token-threshold max-model-len max-num-batched-tokens max-seq-len-to-capture`,
	isList: `
		allowed-media-domains api-key cudagraph-capture-sizes ignore-patterns kv-cache-dtype-skip-layers
		logits-processors lora-modules lora-target-modules middleware numa-bind-cpus numa-bind-nodes offload-params
		served-model-name`,
}

// options is the kind of each option by its name.
var options = indexOptions()

func indexOptions() map[string]kind {
	index := map[string]kind{}
	for takes, names := range optionNames {
		for _, name := range strings.Fields(names) {
			index[name] = takes
		}
	}
	return index
}

var shortOptions = map[string]string{
	"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "dp": "data-parallel-size",
	"dpl": "data-parallel-size-local", "dpr": "data-parallel-start-rank", "dpn": "data-parallel-rank",
	"dpa": "data-parallel-address", "dpp": "data-parallel-rpc-port", "dcp": "decode-context-parallel-size",
	"q": "quantization", "O": "optimization-level", "asc": "api-server-count", "cc": "compilation-config",
}

// addedIn are the versions that brought an option; an older server refuses it.
var addedIn = map[string]string{
	"disable-access-log-for-endpoints": "0.16.0",
	"shutdown-timeout":                 "0.18.0",
}
