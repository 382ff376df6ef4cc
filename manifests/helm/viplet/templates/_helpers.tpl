{{- define "viplet.name" -}}
{{- .Values.nameOverride | default "kube-vip" | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "viplet.selector" -}}
app.kubernetes.io/name: {{ include "viplet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "viplet.labels" -}}
{{ include "viplet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* "true" where the setting is on, as viplet reads it; else empty: (list . "svc_enable"). */}}
{{- define "viplet.on" -}}
{{- $value := get (index . 0).Values.env (index . 1) | toString -}}
{{- if has $value (list "1" "t" "T" "TRUE" "true" "True") -}}true{{- end -}}
{{- end }}

{{/* The port of the probes; empty where viplet listens nowhere that is known here. */}}
{{- define "viplet.port" -}}
{{- $health := .Values.env.health_check_port | default "" | toString -}}
{{- $server := get .Values.env "prometheus_server" | toString -}}
{{- if and $health (ne $health "0") -}}{{ $health }}
{{- else if regexMatch "^(0\\.0\\.0\\.0|127\\.0\\.0\\.1|localhost|\\[::\\])?:[0-9]+$" $server -}}
{{ regexFind "[0-9]+$" $server }}
{{- end -}}
{{- end }}

{{/* What is said about nodes, which are in no namespace: (list services labels). */}}
{{- define "viplet.nodeRules" -}}
{{- if index . 0 }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
{{- end }}
{{- if index . 1 }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [patch]
{{- end }}
{{- end }}
