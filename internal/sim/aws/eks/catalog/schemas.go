package catalog

// The schemas of configuration values, in the dialect (draft-06) and with the property names of the add-ons of AWS. They are
// checked on create and update of an add-on, so a wrong name or type is refused as it is in life.
const (
	vpcCNISchema = `{
  "$ref": "#/definitions/VpcCni", "$schema": "http://json-schema.org/draft-06/schema#",
  "definitions": {
    "EniConfig": {"additionalProperties": false, "type": "object", "required": ["create", "region", "subnets"], "properties": {
      "create": {"type": "boolean"}, "region": {"type": "string"},
      "subnets": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "id": {"type": "string"}, "securityGroups": {"type": "array", "items": {"type": "string"}}}}}}},
    "Env": {"type": "object", "additionalProperties": false, "properties": {
      "ADDITIONAL_ENI_TAGS": {"type": "string"}, "ANNOTATE_POD_IP": {"format": "boolean", "type": "string"},
      "AWS_EC2_ENDPOINT": {"type": "string"}, "AWS_EXTERNAL_SERVICE_CIDRS": {"type": "string"},
      "AWS_MANAGE_ENIS_NON_SCHEDULABLE": {"format": "boolean", "type": "string"},
      "AWS_VPC_CNI_NODE_PORT_SUPPORT": {"format": "boolean", "type": "string"}, "AWS_VPC_ENI_MTU": {"format": "integer", "type": "string"},
      "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER": {"format": "boolean", "type": "string"},
      "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": {"format": "boolean", "type": "string"},
      "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": {"type": "string"}, "AWS_VPC_K8S_CNI_EXTERNALSNAT": {"format": "boolean", "type": "string"},
      "AWS_VPC_K8S_CNI_LOGLEVEL": {"type": "string"}, "AWS_VPC_K8S_CNI_LOG_FILE": {"type": "string"},
      "AWS_VPC_K8S_CNI_RANDOMIZESNAT": {"type": "string"}, "AWS_VPC_K8S_CNI_VETHPREFIX": {"type": "string"},
      "AWS_VPC_K8S_PLUGIN_LOG_FILE": {"type": "string"}, "AWS_VPC_K8S_PLUGIN_LOG_LEVEL": {"type": "string"},
      "CLUSTER_ENDPOINT": {"type": "string"}, "DISABLE_INTROSPECTION": {"format": "boolean", "type": "string"},
      "DISABLE_LEAKED_ENI_CLEANUP": {"format": "boolean", "type": "string"}, "DISABLE_METRICS": {"format": "boolean", "type": "string"},
      "DISABLE_NETWORK_RESOURCE_PROVISIONING": {"format": "boolean", "type": "string"},
      "DISABLE_POD_V6": {"format": "boolean", "type": "string"}, "DISABLE_TCP_EARLY_DEMUX": {"format": "boolean", "type": "string"},
      "ENABLE_BANDWIDTH_PLUGIN": {"format": "boolean", "type": "string"}, "ENABLE_POD_ENI": {"format": "boolean", "type": "string"},
      "ENABLE_PREFIX_DELEGATION": {"format": "boolean", "type": "string"}, "ENABLE_SUBNET_DISCOVERY": {"format": "boolean", "type": "string"},
      "ENABLE_V6_EGRESS": {"format": "boolean", "type": "string"}, "ENI_CONFIG_ANNOTATION_DEF": {"type": "string"},
      "ENI_CONFIG_LABEL_DEF": {"type": "string"}, "INTROSPECTION_BIND_ADDRESS": {"type": "string"},
      "IP_COOLDOWN_PERIOD": {"format": "integer", "type": "string"}, "MAX_ENI": {"format": "integer", "type": "string"},
      "MINIMUM_IP_TARGET": {"format": "integer", "type": "string"}, "NETWORK_POLICY_ENFORCING_MODE": {"type": "string"},
      "POD_SECURITY_GROUP_ENFORCING_MODE": {"type": "string"}, "WARM_ENI_TARGET": {"format": "integer", "type": "string"},
      "WARM_IP_TARGET": {"format": "integer", "type": "string"}, "WARM_PREFIX_TARGET": {"format": "integer", "type": "string"}}},
    "Init": {"additionalProperties": false, "type": "object", "properties": {"env": {"$ref": "#/definitions/Env"}}},
    "NodeAgent": {"additionalProperties": false, "type": "object", "properties": {
      "conntrackCacheCleanupPeriod": {"format": "integer", "type": "string"}, "conntrackCacheTableSize": {"format": "integer", "type": "string"},
      "enableCloudWatchLogs": {"format": "boolean", "type": "string"}, "enablePolicyEventLogs": {"format": "boolean", "type": "string"},
      "healthProbeBindAddr": {"format": "integer", "type": "string"}, "metricsBindAddr": {"format": "integer", "type": "string"},
      "resources": {"$ref": "#/definitions/Resources"}}},
    "Resources": {"additionalProperties": false, "type": "object", "properties": {"limits": {"type": "object"}, "requests": {"type": "object"}}},
    "VpcCni": {"additionalProperties": false, "type": "object", "properties": {
      "affinity": {"type": "object"}, "enableNetworkPolicy": {"format": "boolean", "type": "string"},
      "enableWindowsIpam": {"format": "boolean", "type": "string"}, "enableWindowsPrefixDelegation": {"format": "boolean", "type": "string"},
      "eniConfig": {"$ref": "#/definitions/EniConfig"}, "env": {"$ref": "#/definitions/Env"}, "init": {"$ref": "#/definitions/Init"},
      "livenessProbeTimeoutSeconds": {"type": "integer"}, "readinessProbeTimeoutSeconds": {"type": "integer"},
      "nodeAgent": {"$ref": "#/definitions/NodeAgent"}, "podAnnotations": {"type": "object"}, "podLabels": {"type": "object"},
      "resources": {"$ref": "#/definitions/Resources"}, "tolerations": {"type": "array", "items": {"type": "object"}}}}
  }
}`
	corednsSchema = `{
  "$ref": "#/definitions/Coredns", "$schema": "http://json-schema.org/draft-06/schema#",
  "definitions": {
    "AutoScaling": {"additionalProperties": false, "type": "object", "properties": {
      "enabled": {"type": "boolean"}, "maxReplicas": {"type": "integer", "minimum": 2, "maximum": 1000},
      "minReplicas": {"type": "integer", "minimum": 2, "maximum": 1000}}},
    "Resources": {"additionalProperties": false, "type": "object", "properties": {"limits": {"type": "object"}, "requests": {"type": "object"}}},
    "PodDisruptionBudget": {"additionalProperties": false, "type": "object", "properties": {
      "enabled": {"type": "boolean"}, "maxUnavailable": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "minAvailable": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}},
    "Coredns": {"additionalProperties": false, "type": "object", "properties": {
      "affinity": {"type": ["object", "null"]}, "autoScaling": {"$ref": "#/definitions/AutoScaling"}, "computeType": {"type": "string"},
      "corefile": {"type": "string"}, "nodeSelector": {"type": ["object", "null"]}, "podAnnotations": {"type": "object"},
      "podDisruptionBudget": {"$ref": "#/definitions/PodDisruptionBudget"}, "podLabels": {"type": "object"},
      "replicaCount": {"type": "integer", "minimum": 1}, "resources": {"$ref": "#/definitions/Resources"},
      "tolerations": {"type": ["array", "null"], "items": {"type": "object"}}, "topologySpreadConstraints": {"type": ["array", "null"], "items": {"type": "object"}}}}
  }
}`
	kubeProxySchema = `{
  "$ref": "#/definitions/KubeProxy", "$schema": "http://json-schema.org/draft-06/schema#",
  "definitions": {
    "Ipvs": {"additionalProperties": false, "type": "object", "properties": {"scheduler": {"type": "string"}}},
    "Resources": {"additionalProperties": false, "type": "object", "properties": {"limits": {"type": "object"}, "requests": {"type": "object"}}},
    "KubeProxy": {"additionalProperties": false, "type": "object", "properties": {
      "ipvs": {"$ref": "#/definitions/Ipvs"}, "mode": {"type": "string", "enum": ["iptables", "ipvs", "nftables"]},
      "podAnnotations": {"type": "object"}, "podLabels": {"type": "object"}, "resources": {"$ref": "#/definitions/Resources"}}}
  }
}`
	metricsServerSchema = `{
  "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
  "properties": {
    "addonResizer": {"type": "object", "additionalProperties": false, "properties": {"enabled": {"type": "boolean"}, "nanny": {"type": "object"}, "resources": {"type": "object"}}},
    "affinity": {"type": "object"}, "args": {"type": "array", "items": {"type": "string"}}, "commonLabels": {"type": "object"},
    "containerPort": {"type": "integer", "minimum": 1, "maximum": 65535}, "deploymentAnnotations": {"type": "object"},
    "hostNetwork": {"type": "object", "additionalProperties": false, "properties": {"enabled": {"type": "boolean"}}},
    "metrics": {"type": "object", "additionalProperties": false, "properties": {"enabled": {"type": "boolean"}}},
    "nodeSelector": {"type": "object"}, "podAnnotations": {"type": "object"},
    "podDisruptionBudget": {"type": "object", "additionalProperties": false, "properties": {
      "enabled": {"type": "boolean"}, "maxUnavailable": {"type": ["integer", "string", "null"]}, "minAvailable": {"type": ["integer", "string", "null"]}}},
    "podLabels": {"type": "object"}, "priorityClassName": {"type": "string"}, "replicas": {"type": "integer", "minimum": 1},
    "resources": {"type": "object"}, "tolerations": {"type": "array", "items": {"type": "object"}}, "topologySpreadConstraints": {"type": "array", "items": {"type": "object"}},
    "updateStrategy": {"type": "object"}
  }
}`
	podIdentityAgentSchema = `{
  "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
  "properties": {
    "affinity": {"type": "object"},
    "agent": {"type": "object", "additionalProperties": false, "properties": {"additionalArgs": {"type": "object", "additionalProperties": {"type": "string"}}}},
    "nodeSelector": {"type": "object"}, "priorityClassName": {"type": "string"}, "resources": {"type": "object"},
    "tolerations": {"type": "array", "items": {"type": "object"}}, "updateStrategy": {"type": "object"}
  }
}`
	ebsCSISchema = `{
  "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
  "properties": {
    "additionalDaemonSets": {"type": "object"},
    "controller": {"type": "object", "additionalProperties": false, "properties": {
      "additionalArgs": {"type": "array", "items": {"type": "string"}}, "affinity": {"type": "object"}, "batching": {"type": "boolean"},
      "defaultFsType": {"type": "string"}, "enableMetrics": {"type": "boolean"}, "extraVolumeTags": {"type": "object"}, "k8sTagClusterId": {"type": ["string", "null"]},
      "logLevel": {"type": "integer"}, "loggingFormat": {"type": "string"}, "nodeSelector": {"type": "object"}, "podAnnotations": {"type": "object"},
      "podDisruptionBudget": {"type": "object"}, "podLabels": {"type": "object"}, "priorityClassName": {"type": "string"}, "region": {"type": ["string", "null"]},
      "replicaCount": {"type": "integer", "minimum": 1}, "resources": {"type": "object"}, "sdkDebugLog": {"type": "boolean"}, "tolerations": {"type": "array", "items": {"type": "object"}},
      "topologySpreadConstraints": {"type": "array", "items": {"type": "object"}}, "updateStrategy": {"type": "object"},
      "userAgentExtra": {"type": "string"}, "volumeModificationFeature": {"type": "object"}}},
    "defaultStorageClass": {"type": "object", "additionalProperties": false, "properties": {"enabled": {"type": "boolean"}}},
    "node": {"type": "object", "additionalProperties": false, "properties": {
      "affinity": {"type": "object"}, "enableMetrics": {"type": "boolean"}, "enableWindows": {"type": "boolean"}, "kubeletPath": {"type": "string"},
      "logLevel": {"type": "integer"}, "loggingFormat": {"type": "string"}, "nodeSelector": {"type": "object"}, "podAnnotations": {"type": "object"}, "podLabels": {"type": "object"},
      "priorityClassName": {"type": "string"}, "reservedVolumeAttachments": {"type": ["integer", "null"]}, "resources": {"type": "object"}, "tolerateAllTaints": {"type": "boolean"},
      "tolerations": {"type": "array", "items": {"type": "object"}}, "updateStrategy": {"type": "object"}, "volumeAttachLimit": {"type": ["integer", "null"]}}},
    "proxy": {"type": "object"}, "sidecars": {"type": "object"}, "storageClasses": {"type": "array", "items": {"type": "object"}},
    "useOldCSIDriver": {"type": "boolean"}, "volumeSnapshotClasses": {"type": "array", "items": {"type": "object"}}
  }
}`
	snapshotControllerSchema = `{
  "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
  "properties": {
    "affinity": {"type": "object"}, "nodeSelector": {"type": "object"}, "replicaCount": {"type": "integer"}, "resources": {"type": "object"},
    "tolerations": {"type": "array", "items": {"type": "object"}}
  }
}`
	nodeMonitoringSchema = `{
  "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
  "properties": {
    "dcgmAgent": {"type": "object", "additionalProperties": false, "properties": {
      "affinity": {"type": "object"}, "resources": {"type": "object"}, "tolerations": {"type": "array", "items": {"type": "object"}}}},
    "monitoringAgent": {"type": "object", "additionalProperties": false, "properties": {
      "additionalArgs": {"type": "array", "items": {"type": "string"}}, "affinity": {"type": "object"}, "resources": {"type": "object"},
      "tolerations": {"type": "array", "items": {"type": "object"}}}},
    "nodeAgent": {"type": "object"}
  }
}`
)
