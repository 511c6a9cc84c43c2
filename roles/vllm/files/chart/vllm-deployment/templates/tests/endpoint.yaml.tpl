{{- /* `helm test`: the server is healthy and answers one real completion. Not selected by the Service: the name
       label differs. The component label lets it pass the network policy. */ -}}
{{- $name := include "vllm-deployment.fullname" . -}}
{{- $request := dict "model" (include "vllm-deployment.servedName" .) "prompt" "Say yes." "max_tokens" 8 -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $name }}-test
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: vllm-test
    app.kubernetes.io/instance: {{ $name | quote }}
    app.kubernetes.io/component: verifier
    {{- include "vllm-deployment.commonLabels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65534
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: verify
      image: {{ .Values.test.image | quote }}
      imagePullPolicy: IfNotPresent
      {{- if .Values.test.command }}
      command:
        {{- include "vllm-deployment.yaml" .Values.test.command | nindent 8 }}
      {{- with .Values.test.args }}
      args:
        {{- include "vllm-deployment.yaml" . | nindent 8 }}
      {{- end }}
      {{- else }}
      # All data comes by the environment: nothing of a value is ever part of the script. ($$ is Kubernetes' $.)
      command: [sh, -euc]
      args:
        - |
          curl --fail --silent --show-error --max-time 10 "$SERVICE_URL/health"
          answer=$$(curl --fail-with-body --silent --show-error --max-time "$TIMEOUT_SECONDS" \
            --header "Content-Type: application/json" --header "Authorization: Bearer ${VLLM_API_KEY:-none}" \
            --data "$REQUEST_BODY" "$SERVICE_URL/v1/completions")
          echo "$answer"
          # An answer with status 200 may still carry an error instead of choices.
          case "$answer" in
            *'"finish_reason"'*) ;;
            *) echo "no completion in the answer" >&2; exit 1 ;;
          esac
      {{- end }}
      env:
        - name: SERVICE_URL
          value: {{ printf "http://%s.%s.svc:%d" $name .Release.Namespace (int .Values.service.port) | quote }}
        - name: SERVED_MODEL
          value: {{ include "vllm-deployment.literal" (include "vllm-deployment.servedName" .) }}
        - name: REQUEST_BODY
          value: {{ include "vllm-deployment.literal" (toJson $request) }}
        - name: TIMEOUT_SECONDS
          value: {{ int .Values.test.timeoutSeconds | quote }}
        {{- with include "vllm-deployment.apiKeyEnv" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {cpu: 500m, memory: 64Mi}
      securityContext:
        {{- include "vllm-deployment.containerSecurity" (dict "readOnlyRootFilesystem" true) | nindent 8 }}
