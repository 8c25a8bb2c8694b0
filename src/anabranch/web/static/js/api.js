// Questions to the server besides the event stream.

/** {ok, status, data}; data.error says what was wrong. A server that does not answer has status 0. */
export async function ask(method, path, body, headers = {}) {
  const options = { method, headers: { accept: "application/json", ...headers } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    return { ok: false, status: 0, data: { error: "The server does not answer. Try again." } };
  }
  try {
    return { ok: answer.ok, status: answer.status, data: await answer.json() };
  } catch {
    return { ok: false, status: answer.status, data: { error: `The server answers ${answer.status}, and no JSON.` } };
  }
}
