package eks

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// deed is what somebody did to AWS: a call as CloudTrail records it, as far as it matters here
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
type deed struct {
	ID         string         `json:"eventID"`
	Source     string         `json:"eventSource"`
	Name       string         `json:"eventName"`
	Time       time.Time      `json:"eventTime"`
	Agent      string         `json:"userAgent"`
	ErrorCode  string         `json:"errorCode"`
	ReadOnly   bool           `json:"readOnly"`
	Who        principal      `json:"userIdentity"`
	Parameters map[string]any `json:"requestParameters"`
}

// principal is who called. InvokedBy names the service that called in the principal's name, as CloudFormation does
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
type principal struct {
	Type      string `json:"type"`
	ARN       string `json:"arn"`
	InvokedBy string `json:"invokedBy"`
}

// readDeed reads a record. Members of another type than expected are left out: CloudTrail may say "omitted" in their place.
func readDeed(record []byte) (d deed, ok bool) {
	err := json.Unmarshal(record, &d)
	if _, odd := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !odd {
		return deed{}, false
	}
	return d, d.Source != "" && d.Name != ""
}

// readEvent takes the record out of EventBridge's envelope
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html).
func readEvent(body string) (d deed, ok bool) {
	var event struct {
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return deed{}, false
	}
	return readDeed(event.Detail)
}

// idle reports whether the call changed nothing.
func (d deed) idle() bool { return d.ReadOnly || d.ErrorCode != "" }

// appID is how this program calls itself in the user agents of its requests.
const appID = "reconciler"

// by reports whether this program made the call under an identity: directly, or CloudFormation or another service on its
// behalf. The name in the user agent tells it from people who have the same identity.
func (d deed) by(arn string) bool {
	return arn != "" && d.Who.ARN == arn && (d.Who.InvokedBy != "" || slices.Contains(strings.Fields(d.Agent), "app/"+appID))
}

// owner is the caller as people know it ("user/alice", "assumed-role/Admin/alice"), and the time.
func (d deed) owner() gitops.Owner {
	name := ""
	if part := strings.SplitN(d.Who.ARN, ":", 6); len(part) == 6 { // arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME
		name = part[5]
	}
	return gitops.Owner{Manager: cmp.Or(name, d.Who.InvokedBy, d.Who.Type), At: d.Time.UTC().Format(time.RFC3339)}
}

// text is a parameter of the call.
func (d deed) text(key string) string {
	s, _ := d.Parameters[key].(string)
	return s
}

// tagged is what a call about tags names by its ARN, arn:aws:eks:REGION:ACCOUNT:KIND/CLUSTER/NAME/...; empty for other calls.
func (d deed) tagged() (kind, cluster, name string) {
	arn := d.text("resourceArn")
	if plain, err := url.PathUnescape(arn); err == nil {
		arn = plain
	}
	part := append(strings.Split(arn[strings.LastIndexByte(arn, ':')+1:], "/"), "", "")
	return part[0], part[1], part[2]
}

// cluster is the name of the EKS cluster that the call names. In the API of EKS "name" is a cluster's wherever it stands at the
// top.
func (d deed) cluster() string {
	if d.Source != "eks.amazonaws.com" {
		return ""
	}
	_, tagged, _ := d.tagged()
	return cmp.Or(d.text("clusterName"), d.text("name"), tagged)
}

// thing is the stack, Auto Scaling group or role that the call names; of a stack's ARN (...:stack/NAME/ID) the name.
func (d deed) thing() string {
	name := cmp.Or(d.text("stackName"), d.text("autoScalingGroupName"), d.text("roleName"))
	if _, stack, ok := strings.Cut(name, ":stack/"); ok {
		name, _, _ = strings.Cut(stack, "/")
	}
	return name
}

// concerns reports whether the call changed a thing of a cluster, which goes by these names.
func (d deed) concerns(r gitops.Ref, names []string) bool {
	cluster := d.cluster()
	if d.idle() || cluster != "" && cluster != r.Namespace {
		return false
	}
	kind, _, name := d.tagged()
	switch {
	case r.Kind == KindCluster: // the calls about what is in a cluster name it too
		return cluster != "" && (kind == "cluster" || slices.Contains([]string{"UpdateClusterConfig", "UpdateClusterVersion", "AssociateEncryptionConfig"}, d.Name))
	case r.Kind == KindNodegroup && kind != "nodegroup":
		name = d.text("nodegroupName")
	case r.Kind == KindAddon && kind != "addon":
		name = d.text("addonName")
	case r.Kind == KindCapability && kind != "capability":
		name = d.text("capabilityName")
	}
	return slices.Contains(names, cmp.Or(name, d.thing()))
}

// follower is a cluster that wants to know what others do to it.
type follower struct {
	name  string
	cloud *Cloud
}

// about tells which of the clusters here a call is about. Elsewhere says that it is about one that is not among them. What cannot
// be told is about all of them.
func (d deed) about(here []follower) (of []follower, elsewhere bool) {
	pick := func(is func(follower) bool) []follower {
		return slices.DeleteFunc(slices.Clone(here), func(f follower) bool { return !is(f) })
	}
	name, thing := d.cluster(), d.thing()
	switch {
	case name != "":
		of = pick(func(f follower) bool { return f.name == name })
		return of, len(of) == 0
	case thing == "":
		return here, false
	case strings.HasPrefix(thing, "eksctl-"):
		// "eksctl-a-b-cluster" is cluster a-b's, where there is one: the longest name it may be.
		longest := ""
		for _, f := range here {
			if strings.HasPrefix(thing, stackPrefix(f.name)) && len(f.name) > len(longest) {
				longest = f.name
			}
		}
		of = pick(func(f follower) bool { return longest != "" && f.name == longest })
		return of, len(of) == 0
	case d.Source == "cloudformation.amazonaws.com":
		return nil, false // all stacks of clusters are eksctl's by name
	}
	if of = pick(func(f follower) bool { return f.cloud.scales(thing) }); len(of) > 0 {
		return of, false
	}
	return here, false
}
