package ec2

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bootstrap is what user data tells a node. Unreadable user data tells nothing, as in life: the instance runs and never joins.
type bootstrap struct {
	cluster, endpoint string
	labels            map[string]string
	taints            []Taint
	maxPods           string
}

func parseBootstrap(data string) bootstrap {
	b := bootstrap{}
	if strings.Contains(data, "[settings") {
		b.readSettings(data)
		return b
	}
	if !strings.Contains(data[:min(len(data), 4096)], "multipart/") {
		b.readPart("", data)
		return b
	}
	message, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		return b
	}
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return b
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return b
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return b
		}
		b.readPart(part.Header.Get("Content-Type"), string(body))
	}
}

// nodeConfig is the part of nodeadm's NodeConfig that shapes a node
// (https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/).
type nodeConfig struct {
	Kind string `yaml:"kind"`
	Spec struct {
		Cluster struct {
			Name     string `yaml:"name"`
			Endpoint string `yaml:"apiServerEndpoint"`
		} `yaml:"cluster"`
		Kubelet struct {
			Config map[string]any `yaml:"config"`
			Flags  []string       `yaml:"flags"`
		} `yaml:"kubelet"`
	} `yaml:"spec"`
}

// readPart reads a NodeConfig; several are merged, the later over the earlier.
func (b *bootstrap) readPart(contentType, body string) {
	if !strings.HasPrefix(contentType, "application/node.eks.aws") && !strings.Contains(body, "node.eks.aws/v1alpha1") {
		return
	}
	var c nodeConfig
	if err := yaml.Unmarshal([]byte(body), &c); err != nil || c.Kind != "NodeConfig" {
		return
	}
	if c.Spec.Cluster.Name != "" {
		b.cluster = c.Spec.Cluster.Name
	}
	if c.Spec.Cluster.Endpoint != "" {
		b.endpoint = c.Spec.Cluster.Endpoint
	}
	if n, ok := c.Spec.Kubelet.Config["maxPods"]; ok {
		b.maxPods = fmt.Sprint(n)
	}
	for _, flag := range c.Spec.Kubelet.Flags {
		name, value, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		switch name {
		case "node-labels":
			b.addLabels(value)
		case "register-with-taints":
			b.addTaints(value)
		case "max-pods":
			b.maxPods = value
		}
	}
}

func (b *bootstrap) addLabels(list string) {
	for pair := range strings.SplitSeq(list, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			b.label(key, value)
		}
	}
}

func (b *bootstrap) label(key, value string) {
	if b.labels == nil {
		b.labels = map[string]string{}
	}
	b.labels[key] = value
}

// addTaints reads key=value:effect[,...].
func (b *bootstrap) addTaints(list string) {
	for text := range strings.SplitSeq(list, ",") {
		head, effect, ok := strings.Cut(text, ":")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(head, "=")
		b.taints = append(b.taints, Taint{Key: key, Value: value, Effect: effect})
	}
}

// readSettings reads the few tables of Bottlerocket's TOML that shape a node: settings.kubernetes with its node-labels and
// node-taints (https://bottlerocket.dev/en/os/latest/#/api/settings/kubernetes/).
func (b *bootstrap) readSettings(data string) {
	table := ""
	for line := range strings.SplitSeq(data, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") && !strings.Contains(line, "=") {
			table = strings.ReplaceAll(strings.Trim(line, "[]"), " ", "")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		b.setting(table, unquote(key), strings.TrimSpace(value))
	}
}

func (b *bootstrap) setting(table, key, value string) {
	switch table + "/" + key {
	case "settings.kubernetes/cluster-name":
		b.cluster = unquote(value)
		return
	case "settings.kubernetes/api-server":
		b.endpoint = unquote(value)
		return
	case "settings.kubernetes/max-pods":
		b.maxPods = unquote(value)
		return
	}
	switch table {
	case "settings.kubernetes.node-labels":
		b.label(key, unquote(value))
	case "settings.kubernetes.node-taints":
		for item := range strings.SplitSeq(strings.Trim(value, "[]"), ",") {
			if text := unquote(item); text != "" {
				v, effect, _ := strings.Cut(text, ":")
				b.taints = append(b.taints, Taint{Key: key, Value: v, Effect: effect})
			}
		}
	}
}

func unquote(text string) string { return strings.Trim(strings.TrimSpace(text), `"'`) }
