{{/* Rules between several values, which a schema cannot say. Each message names the values and what to do. */}}
{{- define "vllm-deployment.validate" -}}
{{- $budget := include "vllm-deployment.startupBudget" . | int -}}
{{- $deadline := include "vllm-deployment.progressDeadline" . | int -}}
{{- if le $deadline $budget -}}
{{- fail (printf "progressDeadlineSeconds (%d) must exceed the startup budget (%d s = probes.startup.periodSeconds x failureThreshold): raise it, or leave it null to have it derived" $deadline $budget) -}}
{{- end -}}
{{- $stop := add (int .Values.drain.preStopSeconds) (int .Values.drain.shutdownTimeoutSeconds) | int -}}
{{- $grace := include "vllm-deployment.gracePeriod" . | int -}}
{{- if le $grace $stop -}}
{{- fail (printf "drain.terminationGracePeriodSeconds (%d) must exceed drain.preStopSeconds plus drain.shutdownTimeoutSeconds (%d): running requests would be killed" $grace $stop) -}}
{{- end -}}
{{- if and .Values.secrets.apiKey.existingSecret (hasPrefix "/v1" .Values.probes.readiness.path) -}}
{{- fail "probes.readiness.path lies under /v1, which answers 401 to the kubelet when secrets.apiKey is set: use /health" -}}
{{- end -}}
{{- if or .Values.persistence.enabled .Values.persistence.extraClaims -}}
{{- $modes := .Values.persistence.accessModes -}}
{{- range .Values.persistence.extraClaims -}}{{- $modes = concat $modes (.accessModes | default list) -}}{{- end -}}
{{- if and (has "ReadWriteOncePod" $modes) (or (kindIs "invalid" .Values.replicas) (gt (int .Values.replicas) 1) (eq .Values.strategy "surge")) -}}
{{- fail "persistence.accessModes ReadWriteOncePod admits one pod only: use replicas 1 with strategy recreate or unavailable-first, or another access mode" -}}
{{- end -}}
{{- end -}}
{{- include "vllm-deployment.validateContainers" . -}}
{{- include "vllm-deployment.validateVolumes" . -}}
{{- include "vllm-deployment.validateRoutes" . -}}
{{- if and .Values.hostNetwork .Values.networkPolicy.enabled -}}
{{- fail "hostNetwork: no network policy reaches a pod in the network of its node: fence port 8000 of the nodes by other means, and say networkPolicy.enabled false" -}}
{{- end -}}
{{- if and .Values.rbac.create (not .Values.serviceAccount.automountToken) -}}
{{- fail "rbac.create without serviceAccount.automountToken grants rights that nothing in the pod can use: set both or none" -}}
{{- end -}}
{{- range $cidr := .Values.networkPolicy.egress.modelSource.cidrs -}}
{{- $refused := false -}}
{{- if contains ":" $cidr -}}
{{- /* Those that reach into a metadata service, as far as their text tells. */ -}}
{{- $short := and (ne $cidr "::/0") (lt (splitList "/" $cidr | last | int) 16) -}}
{{- $refused = or $short (regexMatch "(?i)^(fe[89ab][0-9a-f]:|0*64:ff9b:|::ffff:|fd00:0*ec2:|fd20:0*ce:|fd[02]0::/(1[6-9]|2[0-9]|3[01])$)" $cidr) -}}
{{- else -}}
{{- range splitList " " (include "vllm-deployment.metadataServices" $) -}}
{{- if or (eq $cidr .) (include "vllm-deployment.inside" (list $cidr .)) -}}{{- $refused = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $refused -}}
{{- fail (printf "networkPolicy.egress.modelSource.cidrs: %s reaches a metadata service, where clouds give credentials of the node to whoever asks: name the model source alone" $cidr) -}}
{{- end -}}
{{- end -}}
{{- /* Arguments and variables that the chart owns: a second one would silently win. */ -}}
{{- $owned := dict
      "--host" "service.host" "--port" "service.port" "--served-model-name" "model.servedName" "--model" "model.source"
      "--tensor-parallel-size" "gpu.count" "-tp" "gpu.count" "--revision" "model.revision"
      "--tokenizer-revision" "model.revision" "--max-model-len" "model.maxModelLen" "--dtype" "model.dtype"
      "--quantization" "model.quantization" "-q" "model.quantization"
      "--gpu-memory-utilization" "model.gpuMemoryUtilization"
      "--device-memory-utilization" "model.gpuMemoryUtilization" "--shutdown-timeout" "drain.shutdownTimeoutSeconds"
      "--api-key" "secrets.apiKey" "--hf-token" "secrets.hfToken" -}}
{{- $refused := dict
      "--config" "reads further arguments from a file, past the values: give each argument here"
      "--uds" "listens on a socket file, where no request comes: use service.port"
      "--headless" "starts no API server, which probes and clients need"
      "--grpc" "serves no HTTP, which probes and clients need" -}}
{{- range $index, $argument := .Values.model.extraArgs -}}
{{- /* --option.key=value is read as --option with JSON. */ -}}
{{- $flag := regexFind "^-[^=.]*" $argument | replace "_" "-" -}}
{{- $value := regexFind "=.*" $argument | trimPrefix "=" | default (index (append $.Values.model.extraArgs "") (add1 $index | int)) -}}
{{- if and (has $flag (list "--api-server-count" "-asc")) (eq $value "0") -}}
{{- fail (printf "model.extraArgs: %s 0 starts no API server, which probes and clients need" $flag) -}}
{{- end -}}
{{- if eq $flag "--" -}}
{{- fail "model.extraArgs: -- ends the options: give each argument without it" -}}
{{- end -}}
{{- if hasKey $owned $flag -}}
{{- fail (printf "model.extraArgs: %s belongs to the value %s" $flag (get $owned $flag)) -}}
{{- end -}}
{{- if hasKey $refused $flag -}}
{{- fail (printf "model.extraArgs: %s %s" $flag (get $refused $flag)) -}}
{{- end -}}
{{- /* The engine takes any beginning of an option for the option, and a value that follows a letter. */ -}}
{{- if and $flag (ne $flag "--tokenizer") -}}
{{- range $option := concat (keys $owned) (keys $refused) | sortAlpha -}}
{{- if or (hasPrefix $flag $option) (and (eq (len $option) 2) (hasPrefix $option $flag) (not (hasPrefix "--" $flag))) -}}
{{- fail (printf "model.extraArgs: the engine reads %s as %s, which %s" $flag $option (get $refused $option | default (printf "belongs to the value %s" (get $owned $option)))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* Said here and not in the schema, which could only say that 'not' failed. */ -}}
{{- if has .Values.image.tag (include "vllm-deployment.movingTags" . | splitList " ") -}}
{{- fail (printf "image.tag: %s is another image tomorrow: give a version, or image.digest" .Values.image.tag) -}}
{{- end -}}
{{- range $rule := .Values.rbac.rules -}}
{{- range $words := values $rule -}}
{{- range $word := list "*" "escalate" "bind" "impersonate" -}}
{{- if has $word $words -}}
{{- fail (printf "rbac.rules: %q gives the pod more than a model server needs: name each right" $word) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $variables := dict
      "HF_TOKEN" "secrets.hfToken" "HUGGING_FACE_HUB_TOKEN" "secrets.hfToken" "VLLM_API_KEY" "secrets.apiKey"
      "MODEL_PATH" "model.source" "SERVER_HOST" "service.host" "SERVER_PORT" "service.port"
      "HF_HUB_OFFLINE" "model.offline" -}}
{{- range .Values.model.extraEnv -}}
{{- if hasKey $variables .name -}}
{{- fail (printf "model.extraEnv: %s belongs to the value %s" .name (get $variables .name)) -}}
{{- end -}}
{{- if and (hasKey . "value") (hasKey . "valueFrom") -}}
{{- fail (printf "model.extraEnv: %s has a value and a valueFrom: give one of them" .name) -}}
{{- end -}}
{{- if and (hasKey . "value") (regexMatch "(TOKEN|SECRET|PASSWORD|_KEY)$" .name) -}}
{{- fail (printf "model.extraEnv: %s looks like a secret: give valueFrom.secretKeyRef, since values are kept in the release's history" .name) -}}
{{- end -}}
{{- end -}}
{{- $last := 0.0 -}}
{{- range .Values.sizes -}}
{{- if le (float64 .upToBillions) $last -}}
{{- fail (printf "sizes must rise by upToBillions: %v follows %v" .upToBillions $last) -}}
{{- end -}}
{{- $last = float64 .upToBillions -}}
{{- end -}}
{{- if eq .Values.tier "production" -}}
{{- range .Values.model.extraEnv -}}
{{- if eq .name "VLLM_SERVER_DEV_MODE" -}}
{{- fail "model.extraEnv: VLLM_SERVER_DEV_MODE opens administrative calls without a key and is refused in production" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
