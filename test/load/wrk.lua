wrk.method = "PUT"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"amount":-2}'
