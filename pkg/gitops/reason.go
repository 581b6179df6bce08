package gitops

// Reason is the closed list of kinds of trouble. Code branches on it, `reconciler explain` documents it, metrics label by it.
type Reason string

// The reasons, in the order of the data flow.
const (
	SourceUnreachable Reason = "SourceUnreachable"
	SourceDenied      Reason = "SourceDenied"
	SourceInvalid     Reason = "SourceInvalid"
	RenderFailed      Reason = "RenderFailed"
	RemoteRefused     Reason = "RemoteRefused"
	PluginRefused     Reason = "PluginRefused"
	ChartUnavailable  Reason = "ChartUnavailable"
	DecryptFailed     Reason = "DecryptFailed"
	ConfigInvalid     Reason = "ConfigInvalid"
	PolicyInvalid     Reason = "PolicyInvalid"
	NotManaged        Reason = "NotManaged"
	DuplicateObject   Reason = "DuplicateObject"
	FactsPending      Reason = "FactsPending"
	ObserveFailed     Reason = "ObserveFailed"
	AccessDenied      Reason = "AccessDenied"
	QuotaExceeded     Reason = "QuotaExceeded"
	PodSecurityDenied Reason = "PodSecurityDenied"
	AdmissionDenied   Reason = "AdmissionDenied"
	BeingDeleted      Reason = "BeingDeleted"
	Unreachable       Reason = "Unreachable"
	Throttled         Reason = "Throttled"
	Foreign           Reason = "Foreign"
	KindMissing       Reason = "KindMissing"
	Cycle             Reason = "Cycle"
	Immutable         Reason = "Immutable"
	ApplyInvalid      Reason = "ApplyInvalid"
	ApplyConflict     Reason = "ApplyConflict"
	ApplyFailed       Reason = "ApplyFailed"
	HealthFailed      Reason = "HealthFailed"
	Deadline          Reason = "Deadline"
	DrainBlocked      Reason = "DrainBlocked"
	PruneBlocked      Reason = "PruneBlocked"
	Kept              Reason = "Kept"
	Extra             Reason = "Extra"
	Overruled         Reason = "Overruled"
	Deprecated        Reason = "Deprecated"
	UpgradeBlocked    Reason = "UpgradeBlocked"
	UpgradeRound      Reason = "UpgradeRound"
	UpgradeNote       Reason = "UpgradeNote"
	ZoneRefused       Reason = "ZoneRefused"
	OtherZones        Reason = "OtherZones"
	Held              Reason = "Held"
	Blocked           Reason = "Blocked"
	Backoff           Reason = "Backoff"
	Contested         Reason = "Contested"
	Interrupted       Reason = "Interrupted"
	LeaseHeld         Reason = "LeaseHeld"
	LedgerUnavailable Reason = "LedgerUnavailable"
	Internal          Reason = "Internal"
)

// Explanation is what `reconciler explain` prints.
type Explanation struct {
	Reason Reason
	// Title is the kind of trouble in a few words.
	Title string
	// Meaning says what happened and what the tool does about it.
	Meaning string
	// Try says what a person does next.
	Try string
}

// Title is the kind of trouble in a few words.
func (r Reason) Title() string {
	if e, ok := Explain(r); ok {
		return e.Title
	}
	return string(r)
}

// Note reports whether a problem of this kind only informs: it keeps neither a plan from being complete nor a cluster from
// being converged.
func (r Reason) Note() bool {
	return r == NotManaged || r == Kept || r == Extra || r == Overruled || r == Deprecated || r == UpgradeRound || r == UpgradeNote || r == OtherZones
}

// Holds reports whether a problem of this kind is what holds a change: nothing is unknown for it, and the hold tells of it.
func (r Reason) Holds() bool { return r == UpgradeBlocked || r == ZoneRefused || r == PruneBlocked }

// Explain finds the documentation of a reason.
func Explain(r Reason) (Explanation, bool) {
	for _, e := range Explanations() {
		if e.Reason == r {
			return e, true
		}
	}
	return Explanation{}, false
}

// Explanations documents every reason, in the order of the data flow.
func Explanations() []Explanation {
	return []Explanation{
		{SourceUnreachable, "the repository cannot be reached", "The last fetched revision stays in force; fetching is retried with backoff. Nothing is deleted.", "check the URL and the network: git ls-remote URL"},
		{SourceDenied, "the repository refused the credentials", "Fetching is retried; credential files are re-read when they change.", "check the token, key and known_hosts files that the flags name"},
		{SourceInvalid, "the repository holds something that is refused", "A symlink that leaves the tree, an absolute path, a submodule, or a ref that does not exist.", "fix the named file or ref and push"},
		{RenderFailed, "an overlay cannot be rendered", "The overlay is left as it is in the cluster; other overlays go on.", "fix the file, then check it: reconciler render CLUSTER-FOLDER"},
		{RemoteRefused, "an overlay refers to something outside the repository", "Remote bases are refused: what is applied must be in the commit.", "vendor the base into the repository"},
		{PluginRefused, "an overlay uses an exec or Go plugin", "Plugins would run code from the repository and are always refused.", "use a built-in generator or transformer"},
		{ChartUnavailable, "a Helm chart cannot be fetched", "Its repository is silent, refuses the login, or does not have it. The overlay is left as it is in the cluster and fetching is retried; other overlays go on.", "check repo, name and version, and the login: docs/charts.md"},
		{DecryptFailed, "an encrypted file cannot be read", "No key at hand opens it, or it was changed after it was encrypted. Its overlay is left as it is in the cluster; other overlays go on.", "give the key (--age-key-file, SOPS_AGE_KEY_FILE, kms:Decrypt), or encrypt the file for a key that is at hand: sops updatekeys FILE"},
		{ConfigInvalid, "a ClusterConfig is not valid", "Nothing of that cluster's infrastructure is changed.", "fix the file, then check it: reconciler validate CLUSTER-FOLDER"},
		{PolicyInvalid, "reconcile.yaml or an approval is not valid", "The cluster is not changed until it is fixed: a policy must never be guessed.", "fix the file, then check it: reconciler validate CLUSTER-FOLDER"},
		{NotManaged, "a field is not managed yet", "The field is in git, but this version neither observes nor changes it.", "change it by hand, or remove it from the file"},
		{DuplicateObject, "two overlays render the same object", "Neither is applied: last-writer-wins would make them fight.", "remove the object from one of the named files"},
		{FactsPending, "known after apply", "The overlay needs facts of a cluster that does not exist yet; it is rendered again as soon as it does.", "nothing; it resolves itself"},
		{ObserveFailed, "the live state could not be read", "Unknown is not absent: nothing in that domain is deleted and the plan is incomplete.", "make the named call work with the same credentials"},
		{AccessDenied, "AWS or the API server refused the call", "The identity lacks a permission.", "grant the named action to the reconciler's role or ServiceAccount"},
		{QuotaExceeded, "a quota is used up", "A ResourceQuota of the namespace, or a service quota of the AWS account, leaves no room for it.", "kubectl describe resourcequota -n NAMESPACE, or aws service-quotas list-service-quotas; then ask for less, or raise it"},
		{PodSecurityDenied, "Pod Security admission refused the pod", "The pod asks for more than the namespace's pod-security.kubernetes.io/enforce level allows.", "fix the named fields of the pod, or the level: kubectl get namespace NAMESPACE --show-labels"},
		{AdmissionDenied, "admission refused the object", "The identity may write it, but a webhook, an admission policy or a LimitRange says no.", "fix what the message names; kubectl get validatingwebhookconfigurations,validatingadmissionpolicies shows who may say no"},
		{BeingDeleted, "it, or its namespace, is being deleted", "A finalizer keeps it until its controller has cleaned up. It is made again as soon as it is gone.", "kubectl get KIND NAME -o yaml shows metadata.finalizers; look at the controller that they name"},
		{Unreachable, "AWS or the API server cannot be reached", "It is retried with backoff; nothing is deleted.", "check the network, AWS_REGION and AWS_ENDPOINT_URL: aws sts get-caller-identity"},
		{Throttled, "AWS or the API server asked to slow down", "It is retried with backoff.", "nothing; raise the interval if it persists"},
		{Foreign, "the name belongs to something this tool did not make", "It is never touched.", "choose another name, stop the tool that keeps it, or approve the takeover where diff holds it: reconciler approve PLAN-ID"},
		{KindMissing, "the API server does not know the kind", "No CustomResourceDefinition for it is live or in git.", "add the CRD to an overlay, or fix apiVersion and kind"},
		{Cycle, "objects wait for each other", "None of them can be applied first.", "break the cycle at one of the named edges"},
		{Immutable, "a field cannot be changed on a live object", "It is planned as a replacement where that is safe, and refused otherwise.", "revert the field, or approve the replacement"},
		{ApplyInvalid, "the server rejects the object", "It will be rejected again until git changes.", "fix the named field"},
		{ApplyConflict, "another manager owns the field", "Fields of other controllers are not taken by force.", "remove the field from git, or approve the takeover: reconciler approve PLAN-ID, then commit the file"},
		{ApplyFailed, "the change was refused or broke off", "It is retried with backoff.", "reconciler history show RUN"},
		{HealthFailed, "it was applied but does not work", "Things that need it are not applied.", "reconciler status names the cause"},
		{Deadline, "it did not become ready in time", "It is still being watched.", "reconciler status"},
		{DrainBlocked, "nodes cannot be drained", "A PodDisruptionBudget does not allow the eviction; the drain goes on as soon as it does.", "raise the replicas or the budget of the named workload"},
		{PruneBlocked, "a deletion was refused by the prune firewall", "Too much would be deleted at once, or the render was not complete.", "reconciler diff shows what would go; raise the budget in reconcile.yaml if it is right"},
		{Kept, "it left git and stays live", "Nothing deletes it: prune is off in reconcile.yaml, or somebody took the reconciler's label off. It is not changed any more, and counts as nothing to do.", "set prune.enabled: true in reconcile.yaml, or delete it by hand"},
		{Extra, "live in AWS, and not in git", "Somebody else made it: a person, or another tool. It is neither changed nor deleted.", "nothing; or write it into the file (reconciler import CLUSTER shows how), which makes it git's"},
		{Overruled, "the API server stores a field otherwise than git says", "An apply was accepted, and the field has another value all the same: a mutating webhook or policy sets it. It counts as unchanged, because applying again would change nothing.", "say in git what the server stores, or look who sets it: kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies"},
		{Deprecated, "a later version of Kubernetes does not serve it", "The version of the API that git uses is deprecated, and goes with the named version of Kubernetes. Until then it works as ever.", "write what the line names, before the cluster is upgraded"},
		{UpgradeBlocked, "an upgrade of Kubernetes would break something", "Before a control plane is moved, everything that the new version may break is looked for and told together. Until it is solved or approved, the control plane stays as it is.", "do what the lines name, or leave metadata.version as it is; what is approvable goes ahead by reconciler approve PLAN-ID"},
		{UpgradeRound, "an upgrade of Kubernetes takes another round", "Nodes, or addons, have to follow before the control plane may go on. The next pass goes on by itself when they have.", "nothing; approve what is held of their change"},
		{UpgradeNote, "to be known of an upgrade", "It holds nothing up.", "nothing, or what the line names"},
		{ZoneRefused, "EKS refuses an availability zone", "EKS makes no control planes there for now (UnsupportedAvailabilityZoneException). Zones that a file names, itself or by subnets, are never exchanged for others; the same ones are tried again an hour later.", "name zones that the message offers, or none"},
		{OtherZones, "a cluster is made in other zones", "EKS refused an availability zone that was chosen for a file that names none. The attempt is cleared away, and the cluster is made in zones that EKS offers and that have every instance type of the file.", "nothing; availabilityZones in the file says other ones"},
		{Held, "a change waits for approval", "It is destructive and no commit has approved it.", "reconciler approve PLAN-ID, then commit the file"},
		{Blocked, "something it needs is not ready", "It is applied as soon as that is.", "fix the named cause first"},
		{Backoff, "waiting before the next try", "The last tries failed; git changes or time end the wait.", "reconciler status shows when"},
		{Contested, "another manager sets the field back every time", "It was corrected more than five times within a minute. Now it is corrected after growing pauses (a minute, doubling up to an hour), and at once again when the other one stops; meanwhile the difference stays shown.", "stop the named manager, or say in reconcile.yaml who keeps the field: conflicts with ruling leave, or ignore"},
		{Interrupted, "the run was stopped", "What AWS or the cluster already accepted goes on; the next run continues from what is live.", "nothing; run again"},
		{LeaseHeld, "another process works on this cluster", "A cluster is worked on by one process at a time: the one that holds its Lease beside the ledger. Nothing was changed.", "push to git and leave it to that process, or stop it first"},
		{LedgerUnavailable, "history and inventory cannot be read or written", "Nothing is deleted meanwhile.", "check the ledger's folder or namespace"},
		{Internal, "a bug in this tool", "The cluster or overlay was left alone.", "report it with the message"},
	}
}
