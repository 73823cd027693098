{{- define "gapless.name" -}}
{{- if contains "gapless" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-gapless" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "gapless.selector" -}}
app.kubernetes.io/name: gapless
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gapless.labels" -}}
{{ include "gapless.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "gapless.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "gapless.name" .) "default") }}
{{- end }}

{{- define "gapless.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}
