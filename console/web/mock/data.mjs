// Routes that only read: scans, samples, explorer and jobs.
import * as samples from "./samples.mjs";

/** Answer a route of the data, or return false where it is none. */
export function data(ctx) {
  const { path, query, reply, method } = ctx;
  const [, , area, ...rest] = path.split("/").map(decodeURIComponent);
  if (area === "scans" && method === "GET") return scans(ctx, rest);
  if (area === "samples" && method === "GET") return rest.length ? sample(ctx, rest) : reply.json(others(ctx.world.scans, query));
  if (area === "explorer") return explorer(ctx, rest);
  if (area === "jobs") return jobs(ctx, rest);
  return false;
}

function scans({ world, query, reply }, [id, what, ...more]) {
  if (!id) return reply.json(world.scans.page(query));
  const scan = world.scans.find(id);
  if (!scan) return reply.problem(404, "No such scan", "There is no scan of this name.");
  if (!what) return reply.json(world.scans.record(scan));
  if (what === "picture.png") return scan.ended ? reply.octets(world.scans.picture(scan, +(query.get("width") ?? 0)), "image/png") : reply.problem(404, "No picture yet", "The picture comes when the scan has ended.");
  if (what === "ledger") return reply.json(world.scans.ledger(scan));
  if (what === "files" && !more.length) return reply.json(world.scans.files(scan));
  if (what === "files") {
    const file = world.scans.files(scan).find((f) => f.path === more.join("/"));
    return file ? reply.octets(Buffer.from(`invented content of ${file.path}\n`), "application/octet-stream", { "content-disposition": "attachment" }) : reply.problem(404, "No such file", "The scan has no file of this name.");
  }
  if (what === "spectrum") {
    const [x, y] = [+query.get("x_mm"), +query.get("y_mm")];
    for (const s of scan.ended ? scan.samples : []) {
      const answer = samples.spectrum(scan, s, Math.floor((y - s.footprint.y_mm) / 0.5), Math.floor((x - s.footprint.x_mm) / 0.5));
      if (answer) return reply.json(answer);
    }
    return reply.problem(404, "No sample there", scan.ended ? "No sample lies at this place." : "No sample is stored at this place yet.");
  }
  return false;
}

function sample({ world, query, reply }, [id, name, what]) {
  const scan = world.scans.find(id);
  const s = world.scans.sample(id, name);
  if (!s) return reply.problem(404, "No such sample", "The scan has no sample of this name.");
  if (!what) return reply.json(samples.facts(scan, s));
  if (what === "image") {
    const image = samples.image(s, query);
    if (!image) return reply.problem(422, "No such band", "Choose bands of this sample.");
    return reply.octets(Buffer.from(image.data.buffer), "application/octet-stream", { "x-shape": image.shape.join(","), "x-stride": String(image.stride) });
  }
  if (what === "spectrum") {
    const answer = samples.spectrum(scan, s, +query.get("line"), +query.get("pixel"));
    return answer ? reply.json(answer) : reply.problem(404, "Outside the sample", "No spectrum lies at this pixel.");
  }
  if (what === "region") {
    const points = (query.get("points") ?? "").split(";").map((p) => p.split(",").map(Number));
    const answer = points.length >= 3 ? samples.region(s, points) : null;
    return answer ? reply.json(answer) : reply.problem(422, "Empty region", "No pixel of the sample lies inside. Draw a larger region.");
  }
  return false;
}

function others(scans, query) {
  const [search, key, value] = [(query.get("search") ?? "").toLowerCase(), query.get("key"), query.get("value")];
  const all = scans.list.filter((scan) => scan.ended).flatMap((scan) => scan.samples.map((s) => ({ scan: scan.id, sample: s.sample, container: s.at, keys: s.keys, vars: s.vars })));
  return all.filter((s) => (!key || s.keys[key] === value) && (!search || `${s.sample} ${Object.values(s.keys).join(" ")}`.toLowerCase().includes(search))).slice(0, +(query.get("limit") ?? 50));
}

function explorer({ world, query, reply, method, body, jobs }, [what]) {
  const ids = body?.scans ?? (query.get("scans") ?? "").split(",").filter(Boolean);
  const of = world.explorer;
  const cloud = of.cloud(ids);
  if (!cloud) return reply.problem(404, "No such scan", "One of the chosen scans does not exist. Choose others.");
  const projection = body?.projection ?? query.get("projection") ?? "pca";
  const octets = (buffer) => reply.octets(buffer, "application/octet-stream");
  if (method === "POST" && what === "selection") return body.polygon?.length >= 3 ? reply.json(of.selection(cloud, projection, body.polygon)) : reply.problem(422, "No region", "Draw a region of three points or more.");
  if (!what) return reply.json(of.facts(cloud));
  if (what === "points") {
    const points = of.points(cloud, projection);
    return points ? octets(points) : reply.problem(409, "Not made yet", jobs.list.some((j) => j.kind === "tsne" && j.state === "running") ? "t-SNE is being made." : "Start t-SNE first.");
  }
  if (what === "places") return octets(of.subset(cloud.places, 2, of.shown(cloud, projection)));
  if (what === "values") return octets(of.subset(of.values(cloud, query), 1, of.shown(cloud, projection)));
  if (what === "minerals") return reply.json(of.minerals(cloud));
  if (what === "elbow") return reply.json(of.elbow(cloud, Math.min(20, +(query.get("most") ?? 10))));
  if (what === "spectra") return octets(of.spectra(cloud, query.get("group"), +(query.get("rows") ?? 400)));
  if (what === "classify") return reply.json(of.classify(cloud, query.get("key")));
  return false;
}

function jobs({ world, reply, method, body, session, rig, jobs }, [id, result]) {
  if (method === "GET" && !id) return reply.json(jobs.list);
  if (method === "GET" && result === "result") {
    const job = jobs.find(id);
    if (job?.state !== "done") return reply.problem(404, "No result yet", "The job has not ended.");
    return reply.octets(Buffer.from(job.kind === "verify" ? "41 files are as they were written.\n" : "invented archive\n"), job.kind === "verify" ? "text/plain; charset=utf-8" : "application/x-tar");
  }
  if (method === "DELETE") return jobs.find(id) ? reply.json(jobs.cancel(id)) : reply.problem(404, "No such job", "The job is gone.");
  if (method === "POST") {
    if (body.kind !== "verify" && session.role === "observe") return reply.problem(403, "Not allowed", "This needs the role operate.");
    if (body.kind !== "tsne" && rig.state === "scanning") return reply.problem(409, "A scan runs", "Wait until the scan has ended.");
    const cloud = body.kind === "tsne" ? world.explorer.cloud(body.scans ?? []) : null;
    return reply.json(jobs.begin(body, session.user, () => cloud && world.explorer.done.add(cloud.key)), 201);
  }
  return false;
}
