{{- define "tokenergy.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tokenergy.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tokenergy.labels" -}}
{{ include "tokenergy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{/* The configuration: keys outside tables come first, as TOML needs it. */}}
{{- define "tokenergy.config" -}}
{{ with .Values.cluster -}}
cluster = {{ . | quote }}
{{ end -}}
{{ with .Values.config -}}
{{ . | trim }}

{{ end -}}
[kubernetes]
enabled = true
cgroups = "/host/sys/fs/cgroup"
{{- with .Values.kubernetes }}
{{ . | trim }}
{{- end }}
{{- if .Values.rapl.enabled }}

[rapl]
folder = "/host/powercap"
{{- end -}}
{{- end -}}
