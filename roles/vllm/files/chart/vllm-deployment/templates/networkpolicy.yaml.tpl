{{- if .Values.networkPolicy.enabled -}}
{{- $policy := .Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "vllm-deployment.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  # The API key guards /v1 only: these peers are the real fence. The kubelet's probes always pass.
  {{- $names := list "router" "healthChecker" "prometheus" "verifier" }}
  {{- if .Values.ingress.enabled }}
  {{- $names = append $names "ingressController" }}
  {{- end }}
  {{- if .Values.httpRoute.enabled }}
  {{- $names = append $names "gateway" }}
  {{- end }}
  {{- $peers := list }}
  {{- range $name := $names }}
  {{- with index $policy.ingress $name }}
  {{- if .enabled }}
  {{- $peers = append $peers . }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if or $peers $policy.ingress.cidrs }}
  ingress:
    - from:
        {{- range $peers }}
        {{- include "vllm-deployment.peer" . | nindent 8 }}
        {{- end }}
        {{- range $policy.ingress.cidrs }}
        - ipBlock:
            cidr: {{ . | quote }}
        {{- end }}
      ports:
        - port: http
          protocol: TCP
  {{- else }}
  ingress: []
  {{- end }}
  egress:
    - to:
        {{- include "vllm-deployment.peer" $policy.egress.dns | nindent 8 }}
        {{- range $policy.egress.dns.cidrs }}
        - ipBlock:
            cidr: {{ . | quote }}
        {{- end }}
      ports:
        - port: 53
          protocol: UDP
        - port: 53
          protocol: TCP
    {{- $source := $policy.egress.modelSource }}
    {{- if and (include "vllm-deployment.downloads" .) $source.cidrs $source.ports }}
    - to:
        {{- range $cidr := $source.cidrs }}
        - ipBlock:
            cidr: {{ $cidr | quote }}
            {{- /* The API server wants each exception strictly inside its block. A template cannot compute with
                   IPv6 addresses: ranges of theirs are listed only below the block that is the whole family. */}}
            {{- $inside := list }}
            {{- $metadata := splitList " " (include "vllm-deployment.metadataServices" $) }}
            {{- range concat $source.except $metadata | uniq }}
            {{- if or (include "vllm-deployment.inside" (list . $cidr)) (and (eq $cidr "::/0") (contains ":" .)) }}
            {{- $inside = append $inside . }}
            {{- end }}
            {{- end }}
            {{- with $inside }}
            except:
              {{- range . }}
              - {{ . | quote }}
              {{- end }}
            {{- end }}
        {{- end }}
      ports:
        {{- range $source.ports }}
        - port: {{ int . }}
          protocol: TCP
        {{- end }}
    {{- end }}
{{- end }}

{{- /* One peer: pods by label, in the release's namespace unless namespace labels are given. */ -}}
{{- define "vllm-deployment.peer" -}}
- podSelector:
    {{- if .podLabels }}
    matchLabels:
      {{- include "vllm-deployment.map" (list .podLabels 6) }}
    {{- else }} {}
    {{- end }}
  {{- with .namespaceLabels }}
  namespaceSelector:
    matchLabels:
      {{- include "vllm-deployment.map" (list . 6) }}
  {{- end }}
{{- end -}}

{{- /* Where clouds answer with credentials of the node, whoever asks; 64:ff9b::a9fe:0 is 169.254.0.0 behind NAT64. */ -}}
{{- define "vllm-deployment.metadataServices" -}}
169.254.0.0/16 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32 fd00:ec2::254/128 fd20:ce::254/128 fe80::/10 64:ff9b::a9fe:0/112
{{- end -}}

{{- /* Not empty where the first of two IPv4 ranges lies inside the second, which is wider. */ -}}
{{- define "vllm-deployment.inside" -}}
{{- $inner := index . 0 -}}
{{- $outer := index . 1 -}}
{{- if not (or (contains ":" $inner) (contains ":" $outer)) -}}
{{- $length := splitList "/" $outer | last | int -}}
{{- if lt $length (splitList "/" $inner | last | int) -}}
{{- $size := 1 -}}
{{- range until (sub 32 $length | int) -}}{{- $size = mul $size 2 -}}{{- end -}}
{{- $places := list -}}
{{- range list $inner $outer -}}
{{- $address := 0 -}}
{{- range splitList "." (splitList "/" . | first) -}}{{- $address = add (mul $address 256) (int .) -}}{{- end -}}
{{- $places = append $places (div $address $size) -}}
{{- end -}}
{{- if eq (first $places) (last $places) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
