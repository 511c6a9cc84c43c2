{{/* Rules for what users add: nothing of it may stand in for a part of the server, or take its place. */}}

{{/* Tags that are another image tomorrow. */}}
{{- define "vllm-deployment.movingTags" -}}latest nightly main master edge dev stable{{- end -}}

{{- define "vllm-deployment.validateContainers" -}}
{{- $moving := include "vllm-deployment.movingTags" . | splitList " " -}}
{{- $names := dict "vllm" true -}}
{{- range $field := list "initContainers" "sidecars" -}}
{{- range $container := index $.Values $field -}}
{{- $what := printf "%s: %s" $field .name -}}
{{- if eq .name "vllm" -}}
{{- fail (printf "%s is the model server's name: give the container another one" $what) -}}
{{- end -}}
{{- if hasKey $names .name -}}
{{- fail (printf "%s is the name of two containers: give each its own" $what) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- if not (contains "@sha256:" .image) -}}
{{- $tag := splitList "/" .image | last | splitList ":" | rest | first | default "latest" -}}
{{- if has $tag $moving -}}
{{- fail (printf "%s: the image %s is another one tomorrow: give a version or a digest" $what .image) -}}
{{- end -}}
{{- end -}}
{{- range .ports -}}
{{- if or (eq (.name | default "") "http") (eq (int .containerPort) (int $.Values.service.port)) -}}
{{- fail (printf "%s: the port %q (%d) is the model server's, where the Service sends requests: use another name and number" $what (.name | default "") (int .containerPort)) -}}
{{- end -}}
{{- end -}}
{{- range .env -}}
{{- if and (hasKey . "value") (regexMatch "(TOKEN|SECRET|PASSWORD|_KEY)$" .name) -}}
{{- fail (printf "%s: env.%s looks like a secret: give valueFrom.secretKeyRef, since values are kept in the release's history" $what .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vllm-deployment.validateVolumes" -}}
{{- $own := dict "/home/vllm" "home" "/home/vllm/.cache" "cache" "/tmp" "tmp" "/dev/shm" "shm" -}}
{{- $volumes := dict "home" true "cache" true "tmp" true "shm" true -}}
{{- $additions := dict "persistence.extraClaims" .Values.persistence.extraClaims "extraVolumes" .Values.extraVolumes -}}
{{- range $field := keys $additions | sortAlpha -}}
{{- range get $additions $field -}}
{{- if hasKey $volumes .name -}}
{{- fail (printf "%s: %s is the name of another volume of the pod: give it another one" $field .name) -}}
{{- end -}}
{{- $_ := set $volumes .name true -}}
{{- end -}}
{{- end -}}
{{- range $field := list "initContainers" "sidecars" -}}
{{- range $container := index $.Values $field -}}
{{- range $container.volumeMounts -}}
{{- if not (hasKey $volumes .name) -}}
{{- fail (printf "%s: %s: %s at %s mounts a volume that the pod has not: add it to extraVolumes or persistence.extraClaims" $field $container.name .name .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $paths := dict -}}
{{- $mounts := dict "persistence.extraClaims" .Values.persistence.extraClaims "extraVolumeMounts" .Values.extraVolumeMounts -}}
{{- range $field := keys $mounts | sortAlpha -}}
{{- range get $mounts $field -}}
{{- $path := clean .mountPath -}}
{{- $what := printf "%s: %s at %s" $field .name .mountPath -}}
{{- if not (hasKey $volumes .name) -}}
{{- fail (printf "%s mounts a volume that the pod has not: add it to extraVolumes or persistence.extraClaims" $what) -}}
{{- end -}}
{{- if hasKey $paths $path -}}
{{- fail (printf "%s takes the place of %s: give it another mountPath" $what (get $paths $path)) -}}
{{- end -}}
{{- range $mine, $volume := $own -}}
{{- if or (eq $mine $path) (hasPrefix (printf "%s/" (trimSuffix "/" $path)) $mine) -}}
{{- fail (printf "%s hides the server's own %s (volume %s): give it another mountPath" $what $mine $volume) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $paths $path .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vllm-deployment.validateRoutes" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host: without a host it would take every request of the ingress controller" -}}
{{- end -}}
{{- $route := .Values.httpRoute -}}
{{- if and $route.enabled (not $route.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: name the Gateway" -}}
{{- end -}}
{{- if and $route.enabled (not $route.hostnames) -}}
{{- fail "httpRoute.enabled needs httpRoute.hostnames: without one it would take every request of the Gateway" -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- range $peer, $from := dict "ingressController" "ingress" "gateway" "httpRoute" -}}
{{- $labels := index $.Values.networkPolicy.ingress $peer -}}
{{- if and (index $.Values $from).enabled $labels.enabled (not $labels.podLabels) (not $labels.namespaceLabels) -}}
{{- fail (printf "%s.enabled needs networkPolicy.ingress.%s.namespaceLabels or podLabels: name the pods that pass its requests on, or set its enabled to false and list their addresses in networkPolicy.ingress.cidrs" $from $peer) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A further object: list of the root context, its index and the object. */}}
{{- define "vllm-deployment.validateObject" -}}
{{- $root := index . 0 -}}
{{- $object := index . 2 -}}
{{- $field := printf "extraObjects[%d]" (int (index . 1)) -}}
{{- if hasKey $object "Error" -}}
{{- fail (printf "%s is no object in YAML: %s" $field $object.Error) -}}
{{- end -}}
{{- $metadata := kindIs "map" $object.metadata | ternary $object.metadata dict -}}
{{- range list $object.apiVersion $object.kind $metadata.name -}}
{{- if not (and . (kindIs "string" .)) -}}
{{- fail (printf "%s needs apiVersion, kind and metadata.name, each a text: give whole objects" $field) -}}
{{- end -}}
{{- end -}}
{{- $what := printf "%s: %s %s" $field $object.kind $metadata.name -}}
{{- if ne ($metadata.namespace | default $root.Release.Namespace) $root.Release.Namespace -}}
{{- fail (printf "%s is for the namespace %s: leave the namespace out, a release has one alone" $what $metadata.namespace) -}}
{{- end -}}
{{- if hasKey $object "items" -}}
{{- fail (printf "%s holds other objects, at which nothing here looks: give each of them by itself" $what) -}}
{{- end -}}
{{- if hasKey ($metadata.annotations | default dict) "helm.sh/hook" -}}
{{- fail (printf "%s is a hook of Helm's, which is no part of the release: it would never be taken back or compared" $what) -}}
{{- end -}}
{{- if eq $object.kind "Secret" -}}
{{- fail (printf "%s would be kept in the release's history: make the Secret apart, and refer to it" $what) -}}
{{- end -}}
{{- if has $object.kind (list "Pod" "Deployment" "StatefulSet" "DaemonSet" "ReplicaSet" "ReplicationController" "Job" "CronJob") -}}
{{- fail (printf "%s is a workload, which nothing here waits for or counts: use initContainers or sidecars, or a release of its own" $what) -}}
{{- end -}}
{{- $namespaced := list "SecretProviderClass" "VirtualMachineClass" -}}
{{- if or (and (regexMatch "^Cluster|Class$|WebhookConfiguration$|AdmissionPolicy(Binding)?$" $object.kind) (not (has $object.kind $namespaced))) (has $object.kind (list "Namespace" "Node" "PersistentVolume" "CustomResourceDefinition" "APIService" "CSIDriver")) -}}
{{- fail (printf "%s belongs to the whole cluster, not to a release: make it apart" $what) -}}
{{- end -}}
{{- $fullname := include "vllm-deployment.fullname" $root -}}
{{- $names := list $fullname (printf "%s-server" $fullname) (printf "%s-cache" $fullname) (include "vllm-deployment.serviceAccountName" $root) -}}
{{- range $root.Values.persistence.extraClaims -}}
{{- $names = append $names (include "vllm-deployment.claimName" (list $root .)) -}}
{{- end -}}
{{- $kinds := list "ConfigMap" "HTTPRoute" "Ingress" "NetworkPolicy" "PersistentVolumeClaim" "PodDisruptionBudget" "PrometheusRule" "Role" "RoleBinding" "Service" "ServiceAccount" "ServiceMonitor" -}}
{{- if and (has $object.kind $kinds) (has $metadata.name $names) -}}
{{- fail (printf "%s has the name of an object of the chart: give it another one" $what) -}}
{{- end -}}
{{- end -}}
