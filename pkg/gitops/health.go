package gitops

// Status is the state of a live thing. "Progressing" and "Failed" are different words everywhere.
type Status string

const (
	// Ready means that it does what it is for.
	Ready Status = "ready"
	// Progressing means that it is on its way; waiting is right.
	Progressing Status = "progressing"
	// Failed means that it will not get there without a change.
	Failed Status = "failed"
	// Terminating means that it is being deleted.
	Terminating Status = "terminating"
	// Absent means that it is certainly not there.
	Absent Status = "absent"
	// Unknown means that the question could not be answered.
	Unknown Status = "unknown"
)

// Health is a Status with its reason in words for people.
type Health struct {
	Status  Status `json:"status"`
	Message string `json:"message,omitempty"`
	// Reason is why it is not ready, where a closer one is known than HealthFailed or Deadline.
	Reason Reason `json:"reason,omitempty"`
	// Step asks the engine to call Apply again with the same change: the operation has a further step to take
	// (a drain evicts what budgets allow, pass by pass).
	Step bool `json:"-"`
	// Finished says that it has done its work, well or not, and goes by itself now.
	Finished bool `json:"-"`
}

// String is what is said of it: the message, after the reason where there is one.
func (h Health) String() string {
	if h.Reason == "" {
		return h.Message
	}
	return string(h.Reason) + ": " + h.Message
}
