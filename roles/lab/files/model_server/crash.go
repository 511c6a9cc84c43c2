// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "fmt"

const engineDeadTrace = `Traceback (most recent call last):
  File "/usr/local/lib/python3.12/dist-packages/vllm/v1/engine/async_llm.py", line 436, in output_handler
    outputs = await engine_core.get_output_async()
  File "/usr/local/lib/python3.12/dist-packages/vllm/v1/engine/core_client.py", line 843, in get_output_async
    raise self._format_exception(outputs) from None
vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.`

const engineFailed = `RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}`

const traceback = "Traceback (most recent call last):\n"

// crashLog returns the traceback of a start that fails: one of the known kinds, or the given text itself.
func crashLog(name, model string) string {
	switch name {
	case "cuda-oom":
		return traceback + frame("vllm/v1/executor/uniproc_executor.py", 44, "_init_executor",
			`self.collective_rpc("load_model")`) +
			"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of " +
			"23.64 GiB of which 1.02 GiB is free. Process 1 has 22.61 GiB memory in use.\n" + engineFailed
	case "gated-model":
		return traceback + frame("huggingface_hub/utils/_http.py", 426, "hf_raise_for_status",
			"raise _format(GatedRepoError, message, response) from e") +
			fmt.Sprintf("huggingface_hub.errors.GatedRepoError: 401 Client Error.\n\nCannot access gated repo for url "+
				"https://huggingface.co/%[1]s/resolve/main/config.json.\nAccess to model %[1]s is restricted. You must have "+
				"access to it and be authenticated to access it. Please log in.", model)
	case "missing-model":
		return traceback + frame("transformers/utils/hub.py", 511, "cached_files", "raise OSError(") +
			fmt.Sprintf("OSError: %s is not a local folder and is not a valid model identifier listed on "+
				"'https://huggingface.co/models'", model)
	case "kv-cache":
		return traceback + frame("vllm/v1/core/kv_cache_utils.py", 666, "check_enough_kv_cache_memory",
			"raise ValueError(") +
			"ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is " +
			"needed, which is larger than the available KV cache memory (3.54 GiB). Based on the available memory, the " +
			"estimated maximum model length is 28960. Try increasing `gpu_memory_utilization` or decreasing " +
			"`max_model_len` when initializing the engine.\n" + engineFailed
	}
	return name
}

// frame is one step of a traceback.
func frame(file string, line int, function, code string) string {
	return fmt.Sprintf("  File \"/usr/local/lib/python3.12/dist-packages/%s\", line %d, in %s\n    %s\n",
		file, line, function, code)
}
