package render

// Portion sets how many objects are built together.
func (r *Renderer) Portion(n int) { r.portion = n }

// Parts tells in how many parts an overlay was built last; 0 is as a whole.
func (r *Renderer) Parts(folder string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rendered[folder].parts)
}
