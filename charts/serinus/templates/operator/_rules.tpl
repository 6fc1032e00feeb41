{{- /*
What the operator may do in the namespaces whose loops it drives; services/operator/README.md says what for.
No secrets, no pods/exec, no wildcard. It cannot give a role more than it has (Kubernetes sees to that), so what a drift
job may do is here too.
*/ -}}
{{- define "serinus.operatorRules" -}}
- apiGroups: [serinus.dev]
  resources: [modelloops]
  verbs: [get, list, watch, patch]
- apiGroups: [serinus.dev]
  resources: [modelloops/status]
  verbs: [get, patch, update]
# Blocking owner deletion is asked of whoever may touch the owner's finalizers.
- apiGroups: [serinus.dev]
  resources: [modelloops/finalizers]
  verbs: [update]
- apiGroups: [serinus.dev]
  resources: [looprequests]
  verbs: [get, list, watch, create, delete]
# Approvals are the audit trail: nobody of ours changes or removes one.
- apiGroups: [serinus.dev]
  resources: [modelapprovals]
  verbs: [get, list, watch]
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch]
# The drift job's account and what it may do.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, update, patch, delete]
# Is a version up, and what is wrong with it if not.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [get, list, watch]
# KServe leaves these behind.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, delete]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
