{{/* What follows from the model's size. */}}

{{/* The row of `sizes` that applies, as YAML. */}}
{{- define "vllm-deployment.sizeRow" -}}
{{- $size := float64 .Values.model.sizeBillions -}}
{{- $chosen := last .Values.sizes -}}
{{- range reverse .Values.sizes -}}
{{- if le $size (float64 .upToBillions) -}}{{- $chosen = . -}}{{- end -}}
{{- end -}}
{{- include "vllm-deployment.yaml" $chosen -}}
{{- end -}}

{{/* Resources of the container: the row, then the user's own, then GPUs and other devices in requests and limits alike. */}}
{{- define "vllm-deployment.resources" -}}
{{- $row := include "vllm-deployment.sizeRow" . | fromYaml -}}
{{- $computed := dict
      "requests" (dict "cpu" $row.cpu.request "memory" $row.memory.request)
      "limits" (dict "cpu" $row.cpu.limit "memory" $row.memory.limit) -}}
{{- $resources := mergeOverwrite $computed (deepCopy (.Values.gpu.resources | default dict)) -}}
{{- $devices := dict -}}
{{- range $name, $count := .Values.gpu.extraResources -}}
{{- $_ := set $devices $name (int $count | toString) -}}
{{- end -}}
{{- if gt (int .Values.gpu.count) 0 -}}
{{- $_ := set $devices .Values.gpu.resource (int .Values.gpu.count | toString) -}}
{{- end -}}
{{- $resources = mergeOverwrite $resources (dict "requests" $devices "limits" (deepCopy $devices)) -}}
{{- include "vllm-deployment.yaml" $resources -}}
{{- end -}}

{{/* Failures of the startup probe: 20 up to 13B, 40 at 70B and on the line through both for all others, at most
     360 (three hours at 30 s). */}}
{{- define "vllm-deployment.startupFailures" -}}
{{- $given := .Values.probes.startup.failureThreshold -}}
{{- if $given -}}
{{- int $given -}}
{{- else -}}
{{- $extra := ceil (divf (mulf (subf (float64 .Values.model.sizeBillions) 13.0) 20.0) 57.0) | int -}}
{{- min 360 (add 20 (max 0 $extra)) -}}
{{- end -}}
{{- end -}}

{{/* Time a container gets to load the model, in seconds. */}}
{{- define "vllm-deployment.startupBudget" -}}
{{- mul (include "vllm-deployment.startupFailures" . | int) (int .Values.probes.startup.periodSeconds) -}}
{{- end -}}

{{/* Deadline of the rollout: the budget, and 600 s for scheduling and the pull of an image of many gigabytes. */}}
{{- define "vllm-deployment.progressDeadline" -}}
{{- if .Values.progressDeadlineSeconds -}}
{{- int .Values.progressDeadlineSeconds -}}
{{- else -}}
{{- add (include "vllm-deployment.startupBudget" . | int) 600 -}}
{{- end -}}
{{- end -}}

{{/* Time between the decision to stop a pod and SIGKILL. */}}
{{- define "vllm-deployment.gracePeriod" -}}
{{- if .Values.drain.terminationGracePeriodSeconds -}}
{{- int .Values.drain.terminationGracePeriodSeconds -}}
{{- else -}}
{{- add (int .Values.drain.preStopSeconds) (int .Values.drain.shutdownTimeoutSeconds) (int .Values.drain.marginSeconds) -}}
{{- end -}}
{{- end -}}
