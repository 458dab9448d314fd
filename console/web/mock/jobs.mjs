// Jobs: each takes some seconds, tells its progress and can be cancelled.

const TEXT = { verify: "checking files", process: "processing the recording", export: "writing files", tsne: "arranging points" };

export class Jobs {
  constructor(slow = 1) {
    Object.assign(this, { list: [], next: 1, slow });
  }

  begin({ kind, scan = null, scans = null, format = null }, by, done) {
    const job = { id: String(this.next++), kind, scan, scans: scans ?? [], format, state: "running", progress: 0, message: TEXT[kind], started: new Date().toISOString(), ended: null, by };
    this.list.unshift(job);
    const timer = setInterval(() => {
      if (job.state !== "running") return clearInterval(timer);
      job.progress = Math.min(1, job.progress + 0.06);
      if (job.progress < 1) return;
      Object.assign(job, { state: "done", ended: new Date().toISOString(), message: "done" });
      clearInterval(timer);
      done?.();
    }, 200 * this.slow);
    timer.unref();
    return job;
  }

  find(id) {
    return this.list.find((job) => job.id === id);
  }

  cancel(id) {
    const job = this.find(id);
    if (job?.state === "running") Object.assign(job, { state: "cancelled", ended: new Date().toISOString(), message: "cancelled" });
    return job;
  }
}
